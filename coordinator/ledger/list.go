package ledger

import "iter"

// list is a doubly linked list through nodes that its members own, so that a
// member leaves in constant time and nothing is allocated.
type list[T any] struct {
	head, tail *node[T]
	n          int
}

// node is a member's place in one list at a time.
type node[T any] struct {
	prev, next *node[T]
	in         *list[T]
	val        T
}

// push puts a node at the end, out of the list where it was.
func (l *list[T]) push(n *node[T]) {
	n.leave()
	l.pushAfter(n, l.tail)
}

// pushAfter puts a node that is in no list behind another, or first when that
// is nil.
func (l *list[T]) pushAfter(n, prev *node[T]) {
	n.in, n.prev = l, prev
	if prev != nil {
		n.next, prev.next = prev.next, n
	} else {
		n.next, l.head = l.head, n
	}
	if n.next != nil {
		n.next.prev = n
	} else {
		l.tail = n
	}
	l.n++
}

// leave takes a node out of its list, if it is in one.
func (n *node[T]) leave() {
	l := n.in
	if l == nil {
		return
	}
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.head = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.tail = n.prev
	}
	n.prev, n.next, n.in = nil, nil, nil
	l.n--
}

// all iterates in order; the current member may leave meanwhile.
func (l *list[T]) all() iter.Seq[T] {
	return func(yield func(T) bool) {
		for n := l.head; n != nil; {
			next := n.next
			if !yield(n.val) {
				return
			}
			n = next
		}
	}
}
