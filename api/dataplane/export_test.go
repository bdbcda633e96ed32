package dataplane

import "time"

// InUse is how many uses of connections have not ended, once those that are
// ending have had time to.
func (p *Pool) InUse() int {
	for deadline := time.Now().Add(10 * time.Second); ; {
		p.mu.Lock()
		users := 0
		for _, c := range p.conns {
			users += c.users
		}
		p.mu.Unlock()
		if users == 0 || time.Now().After(deadline) {
			return users
		}
	}
}
