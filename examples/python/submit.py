"""Submits a job to a coordinator, watches it until it has ended, and writes its
result. All that it knows of Millrace is generated from proto/:

    mkdir -p stubs
    python3 -m grpc_tools.protoc -Iproto --python_out=stubs --grpc_python_out=stubs proto/millrace/v1/*.proto
    PYTHONPATH=stubs python3 examples/python/submit.py 127.0.0.1:7400 '/data/books/*.txt'
"""

import sys

import grpc
from millrace.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

server, *files = sys.argv[1:]
with grpc.insecure_channel(server) as channel:
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    spec = job_pb2.JobSpec(
        name="words",
        source=job_pb2.Source(files=files),
        stages=[job_pb2.Stage(command="wc -w")],
    )
    job = jobs.SubmitJob(job_service_pb2.SubmitJobRequest(spec=spec)).job
    for news in jobs.WatchJob(job_service_pb2.WatchJobRequest(id=job.id)):
        job = news.job
        done, total = job.stats.positions_done, job.stats.positions_total
        print(f"{job.id}: {done} of {total}", file=sys.stderr)
    if job.state != job_service_pb2.JOB_STATE_DONE:
        sys.exit(f"{job.id}: {job.failure.message}")
    for part in jobs.ReadResult(job_service_pb2.ReadResultRequest(id=job.id)):
        sys.stdout.buffer.write(part.data)
