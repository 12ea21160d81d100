"""
A SageMaker on loopback that speaks SageMaker's wire protocol and runs containers as processes.

It checks every request as SageMaker would, keeps Processing jobs, runs their entry points over
private `/opt/ml` trees, uploads what they write, and puts state changes to EventBridge.
"""
