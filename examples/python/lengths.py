"""Adds the length of each line: a processor that stays warm and answers one
Arrow stream with another, batch after batch.

    millrace run --warm --command 'python3 examples/python/lengths.py' --output-format csv 'books/**/*.txt'
"""

import sys

import pyarrow as pa
import pyarrow.compute as pc

source, sink = sys.stdin.buffer, sys.stdout.buffer
while source.peek(1):
    batch = pa.ipc.open_stream(source).read_all()
    batch = batch.append_column("length", pc.utf8_length(batch["line"]))
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_table(batch)
    sink.flush()
