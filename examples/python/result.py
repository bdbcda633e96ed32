"""Reads the result of a job as an Arrow table: a large one from the workers that
hold it, by Arrow Flight, and one that the coordinator has through that. It needs
stubs as submit.py does, and pyarrow.

    id=$(millrace submit --sql 'SELECT * FROM input' '/data/*.csv')
    PYTHONPATH=stubs python3 examples/python/result.py 127.0.0.1:7400 $id
"""

import sys

import grpc
import pyarrow as pa
import pyarrow.flight as flight
from millrace.v1 import job_service_pb2, job_service_pb2_grpc


def from_workers(parts):
    """The tables of parts, each from the worker that holds it."""
    for part in parts:
        with flight.connect(f"grpc://{part.addresses[0]}") as worker:
            yield worker.do_get(flight.Ticket(part.ticket)).read_all()


def from_coordinator(jobs, id):
    """The tables of a result: one IPC stream after the other."""
    answers = jobs.ReadResult(job_service_pb2.ReadResultRequest(id=id))
    data = pa.BufferReader(b"".join(answer.data for answer in answers))
    while data.tell() < data.size():
        yield pa.ipc.open_stream(data).read_all()


server, id = sys.argv[1:]
with grpc.insecure_channel(server) as channel:
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    answers = jobs.LocateResult(job_service_pb2.LocateResultRequest(id=id))
    parts = [part for answer in answers for part in answer.parts]
    if all(part.addresses for part in parts):
        print(f"{len(parts)} parts from workers", file=sys.stderr)
        tables = list(from_workers(parts))
    else:
        print("from the coordinator", file=sys.stderr)
        tables = list(from_coordinator(jobs, id))
if not tables:
    print(0, "rows")
    sys.exit()
table = pa.concat_tables(tables)
print(table.num_rows, table.column_names)
for row in table.slice(0, 3).to_pylist():
    print(row)
