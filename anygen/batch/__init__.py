"""Many requests from a file, answered into a folder that can be stopped and gone on with at any moment.

    INPUT --inputs--> BatchItems --run--> chunks --local | ray engine--> records --RunFolder--> results.jsonl, media

Start reading in `run.py`.
"""
