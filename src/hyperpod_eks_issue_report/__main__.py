"""`python -m hyperpod_eks_issue_report`: the same as the console script."""

from hyperpod_eks_issue_report.cli.main import main

main()
