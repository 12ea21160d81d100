"""The embedded cloud: MiniStack and a SageMaker that runs containers as processes, on loopback."""
