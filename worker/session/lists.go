package session

import "container/heap"

// phase is where a lease is in its life on the worker; later ones have higher
// numbers.
type phase uint8

const (
	// waiting for a slot.
	waiting phase = iota
	// running in a slot, killed or not.
	running
	// finished, with an outcome that nobody has acknowledged.
	finished
)

// entry is a lease that is held, or its outcome.
type entry struct {
	lease     Lease
	outcome   Outcome
	phase     phase
	killed    bool
	suspended bool
	why       KillReason
	listed    Number // the session whose attach listed it as a lease
	kept      Number // the session whose answer kept it
	killAt    Time   // when it has run for too long
	heapAt    int    // its place among the timeouts, from 1; 0 for none
	prev      *entry
	next      *entry
}

// list is entries in the order in which they came.
type list struct {
	first, last *entry
	len         int
}

func (l *list) push(e *entry) {
	e.prev, e.next = l.last, nil
	if l.last == nil {
		l.first = e
	} else {
		l.last.next = e
	}
	l.last = e
	l.len++
}

func (l *list) remove(e *entry) {
	if e.prev == nil {
		l.first = e.next
	} else {
		e.prev.next = e.next
	}
	if e.next == nil {
		l.last = e.prev
	} else {
		e.next.prev = e.prev
	}
	e.prev, e.next = nil, nil
	l.len--
}

// all visits the entries; the one at hand may be removed meanwhile.
func (l *list) all(yield func(*entry) bool) {
	for e := l.first; e != nil; {
		next := e.next
		if !yield(e) {
			return
		}
		e = next
	}
}

// timeouts are the running leases that have one, the soonest first.
type timeouts []*entry

// Len, Less, Swap, Push and Pop are for container/heap.
func (t timeouts) Len() int           { return len(t) }
func (t timeouts) Less(i, j int) bool { return t[i].killAt < t[j].killAt }
func (t timeouts) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].heapAt, t[j].heapAt = i+1, j+1
}

func (t *timeouts) Push(x any) {
	e := x.(*entry)
	*t = append(*t, e)
	e.heapAt = len(*t)
}

func (t *timeouts) Pop() any {
	last := len(*t) - 1
	e := (*t)[last]
	(*t)[last] = nil
	*t = (*t)[:last]
	e.heapAt = 0
	return e
}

func (t timeouts) next() Time {
	if len(t) == 0 {
		return never
	}
	return t[0].killAt
}

func (t *timeouts) add(e *entry) { heap.Push(t, e) }

func (t *timeouts) drop(e *entry) {
	if e.heapAt > 0 {
		heap.Remove(t, e.heapAt-1)
	}
}
