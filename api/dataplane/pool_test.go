package dataplane

import (
	"fmt"
	"testing"
)

// A pool has more connections than it may keep only while they are used.
func TestAPoolShrinks(t *testing.T) {
	p := NewPool(nil)
	defer p.Close()
	take := func(i int) *conn {
		c, err := p.take(fmt.Sprintf("127.0.0.1:%d", i))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	var taken []*conn
	for i := range MaxConns + 10 {
		taken = append(taken, take(i))
	}
	if len(p.conns) != MaxConns+10 {
		t.Errorf("%d connections; want all that are used", len(p.conns))
	}
	for _, c := range taken[1:] {
		p.give(c)
	}
	take(MaxConns + 10)
	if len(p.conns) != 2 || take(0) != taken[0] {
		t.Errorf("%d connections; want that in use and the new one", len(p.conns))
	}
}
