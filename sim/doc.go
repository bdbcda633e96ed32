// Package sim is a seeded world in which the real ledger and the real session
// machines of several workers run jobs over data that is only pretended. One
// seed decides everything: the jobs and their users, the workers, what the
// network loses, delays and re-orders, what gossip says and gets wrong, who
// crashes, freezes, drains and comes back, who goes by another one's name, who
// does not see a file or a folder, lacks a program or does not reach another
// worker, whose spool is too small for all, who fails everything, what operators
// want, when the coordinator stands still, restarts from its log or without it,
// what the clocks say and which batches fail. The same seed gives the same world;
// two runs are compared.
//
// A book (book*.go) is a second, dumber opinion. It sees what the coordinator
// hears, decides and writes down, and what workers hear and do, keeps what was
// promised in plain lists, shares no code with what it judges, and looks after
// every step whether it still holds:
//
//   - every record of a source is in the output of exactly one winner, or was
//     skipped and counted; results and files hold all of them, in order;
//   - at most one attempt of a batch wins, and only one whose lease was live;
//     a fence is granted once;
//   - no position is leased twice at a time, or leased when it is done; a
//     lease that is silent past its deadline is taken back, and its range is
//     granted again in time; running work survives a change of leader;
//   - the leases of a worker that is dead by both witnesses go back at once, and
//     none goes back by the word of one; no living worker loses one for nothing;
//   - an output is given up only when it is known to be gone, out of reach for
//     several, or its holder is away for long; then exactly what is lost and
//     still needed runs again; of a kept result only when somebody asks;
//   - an input is gone only when everybody has looked who may soon take leases;
//   - a spool without room spends nothing while somebody was not asked, or results
//     of jobs that are over are in the way, and is tried as soon as these go;
//   - who can't run a stage gets nothing of it while somebody may; no file is
//     written by who has not said whether it sees the folder; a worker that was
//     there at the start and has another one ends the job;
//   - nobody gets a lease who drains, is cordoned or doubted by gossip; who fails
//     everything that others do is paused, refunded, and tried with one batch;
//   - a second process of a name is not taken while the first lives; a worker
//     that leaves is let go once others have what is needed of it;
//   - what is acknowledged is durable, what is dropped is needed by nobody, no
//     work whose lease was live is refused;
//   - a finished job's counters are the sum of its winners, and it ends as its
//     data, its limits and its user have it end, and for no other reason; it is
//     kept for as long as it is to be, and no longer;
//   - an idle worker finds nothing that it could run; credits in batches and
//     bytes, labels, processors, pauses, delays, limits of concurrency, quotas
//     and the places where files may be cut are kept;
//   - every wait that Explain gives is true, and every worker has one;
//   - what is collected, merged or committed is complete and in source order;
//   - a snapshot is as large as fragments, leases and holes, not as batches;
//   - a worker publishes nothing past its deadline, forgets no outcome before
//     it is acknowledged, starts nothing twice, and leaves in order.
//
// Faults end at some time. Then everything must settle: all jobs over, all
// results read, kept ones forgotten, all workers attached with full credit and
// empty spools.
//
// Two other worlds measure: one of many mixes of hungry jobs, whether each has
// the share that is due to it, within a tenth, and whether a small job beside
// large ones starts within the time of one lease; and one of ten thousand
// workers, what a batch costs, and whether the ledger stays small.
//
// # Planted bugs
//
// TestPlantedBugs plants each of these, one at a time, and shows that the book
// finds it within some seeds. In the ledger (see ledger.Bug): a stale fence is
// taken; leases never expire; a retried range is cut twice; counters of a lost
// output are kept; credit is lost with an outcome; an acknowledgement comes
// before the commit; a new leader cuts without grace; a late cut drops a
// position; a winner is counted twice; a merge reads in reverse; a key is
// taken twice; credit that arrives wakes nobody; a lost output is forgotten; a
// collect starts without its last input; a limit of concurrency is ignored; a
// prefix is taken to be enough too soon; a slow reader is ignored; two witnesses
// are not believed, or gossip alone is, or what it said of a former process; two
// processes of a name are taken; cordons are forgotten, ignored, or their end
// wakes nobody; who drains gets leases; a file that is not seen spends an
// attempt, or ends a job while somebody may come back who sees it; a spool without
// room spends one, or room that others make wakes nobody; a stage goes to who
// can't run it, or files to who has not said whether it sees the folder, or
// another folder does not end the job; one report makes an output lost; a kept
// result is made again though nobody asks, or all of it; a job is forgotten at
// once, or never; quotas are ignored, or wake nobody; a small job waits behind a
// large one; nobody is paused, or nothing refunded; a log that was lost repeats
// job numbers. In the session (see session.Bug): an outcome is forgotten once it was sent;
// credit is not renewed; a dropped lease goes on; a returned lease runs; a
// silent link is waited for; leases are counted from the answer, and published
// after their end; refused outputs are kept; a session number is used again; a
// drain leaves early.
//
// # Use
//
//	go test ./sim                                          400 seeds
//	go test ./sim -run TestSeeds -seeds=100000             more
//	go test ./sim -run TestSeeds -seed=42 -seeds=1 -v      one, with its story
//	go test ./sim -run TestFairness -seeds=15000           300 mixes of jobs
//	go test ./sim -run TestScale -seeds=1 -v               10 million batches
package sim
