"""Writes docs/summary.schema.json from the records in `model`."""

from __future__ import annotations

import json
from pathlib import Path

from hyperpod_eks_issue_report.model import summary_schema

if __name__ == "__main__":
    page = Path(__file__).resolve().parent.parent / "docs" / "summary.schema.json"
    page.write_text(json.dumps(summary_schema(), indent=2) + "\n", encoding="utf-8")
