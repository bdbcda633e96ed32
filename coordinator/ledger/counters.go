package ledger

import "strings"

// add adds o to c.
func (c *Counters) add(o *Counters) { c.combine(o, 1) }

// sub takes o, that was added before, off c again.
func (c *Counters) sub(o *Counters) { c.combine(o, -1) }

func (c *Counters) combine(o *Counters, sign int64) {
	c.RecordsIn += sign * o.RecordsIn
	c.BytesIn += sign * o.BytesIn
	c.RecordsOut += sign * o.RecordsOut
	c.BytesOut += sign * o.BytesOut
	c.RecordsSkipped += sign * o.RecordsSkipped
	if len(o.Custom) > 0 {
		c.Custom = combineCounts(c.Custom, o.Custom, sign)
	}
}

// combineCounts merges two lists by rising name. Neither is changed, for they
// may be shared; a count that comes to 0 by subtraction is left out.
func combineCounts(a, b []Count, sign int64) []Count {
	out := make([]Count, 0, len(a)+len(b))
	for len(a) > 0 || len(b) > 0 {
		switch order := compareHeads(a, b); {
		case order < 0:
			out, a = append(out, a[0]), a[1:]
		case order > 0:
			out, b = append(out, Count{b[0].Name, sign * b[0].Value}), b[1:]
		default:
			if sum := a[0].Value + sign*b[0].Value; sum != 0 || sign > 0 {
				out = append(out, Count{a[0].Name, sum})
			}
			a, b = a[1:], b[1:]
		}
	}
	return out
}

func compareHeads(a, b []Count) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return strings.Compare(a[0].Name, b[0].Name)
}
