"""Values in, text out: everything a user reads comes from here, and nothing here decides anything.

    progress.py     which view a run gets: JSON lines, plain lines or the live tree
    json_forms.py   every JSON document, with the version of their schema
    lines.py        one line per event, for logs and pipes
    frame.py        one picture of a run, as text of a given size
    live.py         that picture on a terminal, kept up to date (the only importer of rich)
    summary.py      the end of a run in words
    plan_text.py  graph_text.py  status_text.py  error_text.py
    outline.py      a graph as an indented tree
    words.py  text.py  style.py    the words, the cleaning and measuring of text, colours and marks

Text from outside (names, log lines, Nomad's messages) passes `text.clean` on its way out, so that no control character reaches a terminal.
Modules are imported one by one where they are used: the live tree costs the import of rich, the others nothing.
"""
