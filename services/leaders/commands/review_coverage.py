"""Say when a section's number of leaders has crossed the town's rule."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from chassis.transaction import Transaction
from services.leaders.domain.coverage import judge
from services.leaders.repository import coverages, facts
from taiwa_contracts.leaders import CoverageLostV1, CoverageRestoredV1


async def review_coverage(tx: Transaction, section_ids: Collection[UUID]) -> None:
    """Compare the leaders in office today with the rule in force today; a section that is closed needs none."""
    sections = sorted(set(section_ids))
    if not sections:
        return
    rules = await facts.rules_on(tx.connection, tx.municipality, tx.today)
    existing = await facts.sections_on(tx.connection, tx.municipality, tx.today, heads_on=tx.today)
    before = await coverages.load_coverages(tx.connection, tx.municipality, sections)
    periods = await coverages.periods_of(tx.connection, tx.municipality, sections)
    for coverage in before:
        needed = rules.leaders_per_section if coverage.section_id in existing else 0
        after = judge(coverage, periods[coverage.section_id], needed, tx.today)
        if after is coverage:
            continue
        await coverages.save_coverage(tx.connection, tx.municipality, coverage, after)
        fact = CoverageRestoredV1 if after.covered else CoverageLostV1
        tx.emit(fact(section_id=after.section_id, effective_from=after.since_on or tx.today), version=after.version)
