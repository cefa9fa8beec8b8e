"""Measurements of whole runs, against a floor or a peer measured in the same run. `make bench` writes them to docs/benchmarks.md.

    __main__.py   all of it in order; writes the tables
    figures.py    a series of values, what it is compared with, and its line in a table
    processes.py  one run of a program: wall time, peak memory, connections
    floor.py      the same jobs by Nomad's plain API, without nomad-dtree: what no tool can beat by much
    jobs.py       job files and dependency files to measure with
    seed.py       four jobs in a row on a real Nomad
    layers.py     two hundred jobs in ten layers on a real Nomad
    large.py      a file of ten thousand jobs, without Nomad; planning.py is the process that it measures
    startup.py    commands that do little, against bare Python and an empty typer program (empty.py)

All of it stays on loopback, is bounded in number and time, and ends what it started.
"""
