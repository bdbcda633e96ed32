package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// errEncoding is what decoding says of bytes that are no encoding of ours.
var errEncoding = errors.New("ledger: broken encoding")

// wire reads or writes fields, one after the other. Both directions run the
// same code, so that they can't differ.
type wire struct {
	buf     []byte
	reading bool
	err     error
}

func (w *wire) fail() {
	if w.err == nil {
		w.err = errEncoding
	}
	w.buf = nil
}

// u64 is an unsigned number.
func (w *wire) u64(p *uint64) {
	if !w.reading {
		w.buf = binary.AppendUvarint(w.buf, *p)
		return
	}
	v, n := binary.Uvarint(w.buf)
	if n <= 0 {
		w.fail()
		return
	}
	*p, w.buf = v, w.buf[n:]
}

// integer is any field that is a number.
type integer interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64
}

// num is a number of any type; small ones of either sign are short.
func num[T integer](w *wire, p *T) {
	v := uint64(int64(*p)<<1) ^ uint64(int64(*p)>>63)
	w.u64(&v)
	if w.reading {
		*p = T(int64(v>>1) ^ -int64(v&1))
	}
}

func (w *wire) flag(p *bool) {
	var v uint64
	if *p {
		v = 1
	}
	w.u64(&v)
	*p = v == 1
}

// optional is a number that may be missing.
func (w *wire) optional(p **int64) {
	there := *p != nil
	if w.flag(&there); !there {
		*p = nil
		return
	}
	if w.reading {
		*p = new(int64)
	}
	num(w, *p)
}

func (w *wire) float(p *float64) {
	v := math.Float64bits(*p)
	w.u64(&v)
	*p = math.Float64frombits(v)
}

// take returns the next n bytes while reading.
func (w *wire) take(n uint64) []byte {
	if n > uint64(len(w.buf)) {
		w.fail()
		return nil
	}
	b := w.buf[:n]
	w.buf = w.buf[n:]
	return b
}

func str[T ~string](w *wire, p *T) {
	n := uint64(len(*p))
	w.u64(&n)
	if w.reading {
		*p = T(w.take(n))
		return
	}
	w.buf = append(w.buf, *p...)
}

func (w *wire) bytes(p *[]byte) {
	n := uint64(len(*p))
	w.u64(&n)
	if !w.reading {
		w.buf = append(w.buf, *p...)
	} else if b := w.take(n); len(b) > 0 {
		*p = append([]byte(nil), b...)
	}
}

// many is a list. Its members take a byte each at least, so that a broken
// length can't ask for much memory.
func many[T any](w *wire, p *[]T, one func(*wire, *T)) {
	n := uint64(len(*p))
	w.u64(&n)
	if w.reading {
		if n > uint64(len(w.buf)) {
			w.fail()
			return
		}
		if *p = nil; n > 0 {
			*p = make([]T, n)
		}
	}
	for i := range *p {
		if one(w, &(*p)[i]); w.err != nil {
			return
		}
	}
}

// version is that of the encoding of facts and snapshots.
const version = 1

// header is the version, and what follows.
func (w *wire) header(kind *uint64) {
	v := uint64(version)
	w.u64(&v)
	if v != version && w.err == nil {
		w.err = fmt.Errorf("ledger: encoding of version %d: this program knows version %d", v, version)
	}
	w.u64(kind)
}
