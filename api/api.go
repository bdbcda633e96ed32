// Package api is the Go client of Millrace, and the job file. What a job may
// say, how its faults are told, and what each error asks of its caller is
// decided here, once, for clients and coordinator alike. How a job runs is not:
// this package only speaks the contract of api/millracev1.
//
// A program that submits jobs imports this package alone:
//
//	client, err := api.Dial("localhost:7400")
//	job, err := client.Submit(ctx, spec, "nightly-2026-01-31")
//	for job, err := range client.Watch(ctx, job.Id) {
//		…
//	}
//	result, err := client.Result(ctx, job.Id)
//	_, err = io.Copy(os.Stdout, result)
package api
