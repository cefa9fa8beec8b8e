"""The command line: typer, one file per command.

    app.py          builds the program for one command line, runs it, turns errors into exit codes
    surroundings.py what is known before the command line is parsed: nomad-dtree.toml and the class of the store
    options.py      options that commands share; settings and options of the store as typer parameters
    invocation.py   what a command works with: settings, store, cluster, output
    failure.py      errors as text, and the report of a bug
    signals.py      Ctrl-C, SIGTERM, SIGHUP
    run.py stop.py plan.py validate.py graph.py status.py stores.py schema.py demo.py version.py

The options of a store exist only once its class is loaded, so the command line is looked through for `--store` (and `--env`) before typer
sees it; the loaded class's options then join the command's signature, which is what typer builds its parser from.
"""
