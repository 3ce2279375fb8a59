"""A simulated SageMaker HyperPod EKS cluster on one Linux machine, behind real endpoints.

    from hyperpod_eks_issue_report.sandbox.server import Sandbox
    from hyperpod_eks_issue_report.sandbox.scenario import make_scenario

    scenario = make_scenario({
        "groups": [{"name": "workers", "instance_type": "ml.p5.48xlarge", "count": 3}],
        "ssm": {"start_session_rate": 0},                       # 0: no throttling
        "nodes": [{"index": 2, "set": {"connected": False}}],   # rules, later ones win
    })
    with Sandbox(scenario, tls=True) as sandbox:
        for key, value in sandbox.environment.items():
            monkeypatch.setenv(key, value)       # boto3, the AWS CLI and the product follow these
        ...                                      # sandbox.cluster_name, .bucket, .nodes
        sandbox.update({"nodes": [{"set": {"agent": {"silent": True}}}]})
        sandbox.wait_for(lambda s: any(x.status == "Terminated" for x in s.sessions))
        sandbox.calls, sandbox.s3_requests(), sandbox.mistakes

It needs the `sandbox` extra. `hyperpod-eks-issue-report sandbox` runs one in the foreground.
docs/sandbox.md describes every field and fault.
"""
