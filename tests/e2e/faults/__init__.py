"""
What the pipeline does when its parts fail: each fault injected, every job accounted for.

`simulation` is an AWS of simulated time, in which the Lambdas' own code can be stopped at any call;
`embedded` breaks the real processes of the embedded cloud.
"""
