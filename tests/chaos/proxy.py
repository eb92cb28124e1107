"""A TCP proxy on loopback whose connections can be cut, delayed, refused or left half-open."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Literal

CHUNK = 65536

Mode = Literal["open", "refuse", "delay", "swallow"]
"""``swallow``: both ends stay connected and hear nothing of each other, as behind a router that forgot them."""


class Proxy:
    """Passes bytes between clients on :attr:`port` and a server on ``target``."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.mode: Mode = "open"
        self.delay = 0.0
        self._server: asyncio.Server | None = None
        self._pairs: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._moving = asyncio.Event()
        self._moving.set()

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    @property
    def connections(self) -> int:
        """How many pass through it now."""
        return len(self._pairs)

    def set(self, mode: Mode, delay: float = 0.0) -> None:
        """From now on, for connections there are and new ones."""
        self.mode, self.delay = mode, delay
        if mode == "swallow":
            self._moving.clear()
        else:
            self._moving.set()

    def cut(self, share: float = 1.0, chance: random.Random | None = None) -> int:
        """Reset connections, all or a share of them; gives how many."""
        cut = 0
        for pair in list(self._pairs):
            if chance is None or chance.random() < share:
                for writer in pair:
                    writer.transport.abort()
                cut += 1
        return cut

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            writer.transport.abort()
            return
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, there_writer)
        self._pairs.add(pair)
        try:
            passing = [
                asyncio.ensure_future(self._pass(reader, there_writer)),
                asyncio.ensure_future(self._pass(there_reader, writer)),
            ]
            await asyncio.wait(passing, return_when=asyncio.FIRST_COMPLETED)
            for each in passing:
                each.cancel()
            await asyncio.wait(passing)
        finally:
            self._pairs.discard(pair)
            for each_writer in pair:
                each_writer.close()  # what was written before the end still arrives

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                if self.delay:
                    await asyncio.sleep(self.delay)  # paced: the delay is the fault
                await self._moving.wait()
                writer.write(chunk)
                await writer.drain()
