"""
The container of a Processing job: answers the requests whose videos are on this instance.

Its inputs, outputs and exit codes are those of `contracts.env` and `contracts.outcomes`; SageMaker
puts the files there and takes them away, so nothing here knows AWS.
"""
