"""HTTP for every service: the application factory, commands, views, paging and problem details."""

from chassis.http.app import create_app
from chassis.http.commands import CommandRunner, Commands, Fingerprint
from chassis.http.dependencies import allow, anybody
from chassis.http.paging import Page, Paging, decode_cursor, encode_cursor, page_of
from chassis.http.problems import PROBLEMS, ProblemDetails
from chassis.http.views import View, Views
from chassis.http.work_items import Target, WorkItem

__all__ = [
    "PROBLEMS",
    "CommandRunner",
    "Commands",
    "Fingerprint",
    "Page",
    "Paging",
    "ProblemDetails",
    "Target",
    "View",
    "Views",
    "WorkItem",
    "allow",
    "anybody",
    "create_app",
    "decode_cursor",
    "encode_cursor",
    "page_of",
]
