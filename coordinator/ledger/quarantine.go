package ledger

import "fmt"

// quarantine is what a worker's failures have come to.
type quarantine struct {
	streak int  // different batches failed, with none done between
	until  Time // when it is tried with a batch
}

func (q *quarantine) reason(w *worker, at Time) string {
	if at < q.until {
		return fmt.Sprintf("it failed %d batches that others do: it is tried again in %v", q.streak, q.until.Sub(at))
	}
	return fmt.Sprintf("it failed %d batches that others do: it is tried with one", q.streak)
}
