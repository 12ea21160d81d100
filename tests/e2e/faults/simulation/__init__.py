"""
An AWS of simulated time around the Lambdas' own code.

Its services are small models in this process, for they must follow the simulated clock, and
thousands of worlds must pass in a minute; each promises no more than AWS does.
"""
