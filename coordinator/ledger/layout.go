package ledger

import (
	"cmp"
	"math/bits"
	"slices"
	"sort"
)

// layout is a source as one line of positions, and where a fixed rule cuts it.
// It follows from the plan alone.
type layout struct {
	fragments []Fragment
	cut       Cut
	starts    []Position // of each fragment, and the end of the last
	bytes     int64      // of all fragments; 0 where they have no size
	unit      Unit
	// pieces tells the batches of a fixed rule: in how many a fragment is cut,
	// or 0 where it belongs to the batch of the fragment before. It is nil
	// when batches are cut late.
	pieces []int32
	stride int64 // positions a piece, where that is given
}

func newLayout(fragments []Fragment, cut Cut) *layout {
	y := &layout{fragments: fragments, cut: cut, starts: make([]Position, len(fragments)+1), unit: UnitBytes}
	for i := range fragments {
		y.starts[i+1] = y.starts[i] + Position(fragments[i].Extent)
		y.bytes += fragments[i].SizeBytes
	}
	if len(fragments) > 0 && fragments[0].Unit != UnitUnspecified {
		y.unit = fragments[0].Unit
	}
	y.fix()
	return y
}

// total returns how many positions there are.
func (y *layout) total() Position { return y.starts[len(y.starts)-1] }

// at returns the fragment that a position lies in.
func (y *layout) at(p Position) int {
	return sort.Search(len(y.fragments), func(i int) bool { return y.starts[i+1] > p })
}

// whole says whether a fragment must be one split.
func (y *layout) whole(f int) bool { return y.cut.WholeFiles || y.fragments[f].Whole }

// splits returns the splits of [from, to).
func (y *layout) splits(from, to Position) []Split {
	f := y.at(from)
	last := f
	for y.starts[last+1] < to {
		last++
	}
	out := make([]Split, 0, last-f+1)
	for ; f <= last; f++ {
		start := y.starts[f]
		out = append(out, Split{f, int64(max(from, start) - start), int64(min(to, y.starts[f+1]) - start)})
	}
	return out
}

// sizeOf returns about how many bytes [from, to) are.
func (y *layout) sizeOf(from, to Position) int64 {
	if y.unit == UnitBytes {
		return int64(to - from)
	}
	return mulDiv(y.bytes, int64(to-from), int64(y.total()))
}

// mulDiv returns a*b/c without overflow between; all are positive, and the
// result fits.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// next returns where the fixed batch ends that p is in.
func (y *layout) next(p Position) Position {
	f := y.at(p)
	if y.pieces[f] > 1 {
		return y.starts[f] + Position(y.piece(f, int64(p-y.starts[f])))
	}
	for f++; f < len(y.fragments) && y.pieces[f] == 0; f++ {
	}
	return y.starts[f]
}

// piece returns the offset where the piece of a fragment ends that an offset
// is in.
func (y *layout) piece(f int, offset int64) int64 {
	fr := &y.fragments[f]
	k := int64(y.pieces[f])
	switch n := int64(len(fr.Cuts)) + 1; {
	case y.stride > 0 && n == 1:
		return min((offset/y.stride+1)*y.stride, fr.Extent)
	case n == 1:
		j := mulDiv(offset, k, fr.Extent) + 1
		for mulDiv(j, fr.Extent, k) <= offset {
			j++
		}
		return mulDiv(j, fr.Extent, k)
	default:
		i := int64(sort.Search(len(fr.Cuts), func(i int) bool { return fr.Cuts[i] > offset }))
		for j := mulDiv(i, k, n) + 1; j < k; j++ {
			if at := fr.Cuts[mulDiv(j, n, k)-1]; at > offset {
				return at
			}
		}
		return fr.Extent
	}
}

// most returns in how many pieces a fragment can be cut.
func (y *layout) most(f int) int64 {
	fr := &y.fragments[f]
	switch {
	case y.whole(f):
		return 1
	case len(fr.Cuts) > 0:
		return int64(len(fr.Cuts)) + 1
	}
	return min(fr.Extent, 1<<31-1)
}

// fix computes the pieces of a fixed rule.
func (y *layout) fix() {
	if y.cut.Rule == CutUnspecified || y.cut.Rule == CutLate {
		return
	}
	y.pieces = make([]int32, len(y.fragments))
	n := int64(len(y.fragments))
	switch {
	case n == 0:
	case y.cut.Rule == CutOne:
		y.pieces[0] = 1
	case y.cut.Rule == CutRecords:
		y.fixRecords()
	case y.cut.Rule == CutBytes:
		y.fixBytes()
	case y.cut.Size < n:
		y.fixGroups()
	default:
		y.fixPieces()
	}
}

// fixRecords makes a batch of each interval between cuts. Records that are
// positions need no cuts to be counted.
func (y *layout) fixRecords() {
	if y.unit != UnitBytes {
		y.stride = max(y.cut.Size, 1)
	}
	for f := range y.pieces {
		fr := &y.fragments[f]
		switch {
		case y.whole(f):
			y.pieces[f] = 1
		case len(fr.Cuts) > 0 || y.stride == 0:
			y.pieces[f] = int32(len(fr.Cuts) + 1)
		default:
			y.pieces[f] = int32(min((fr.Extent-1)/y.stride+1, 1<<31-1))
		}
	}
}

// fixBytes cuts large fragments in equal pieces and packs small ones.
func (y *layout) fixBytes() {
	size := max(y.cut.Size, 1)
	var packed, files int64
	for f := range y.pieces {
		bytes := y.fragments[f].SizeBytes
		if bytes == 0 {
			bytes = y.fragments[f].Extent
		}
		switch {
		case bytes > size:
			y.pieces[f] = int32(min((bytes-1)/size+1, y.most(f)))
			packed, files = size, 0 // the next one begins a batch
		case f > 0 && packed+bytes <= size && files < y.maxFiles():
			packed, files = packed+bytes, files+1
		default:
			y.pieces[f], packed, files = 1, bytes, 1
		}
	}
}

func (y *layout) maxFiles() int64 {
	if y.cut.MaxFiles == 0 {
		return 1 << 62
	}
	return int64(y.cut.MaxFiles)
}

// fixGroups makes fewer batches than there are fragments: each of neighbouring
// whole ones, as even as that allows. A limit of files may make it more.
func (y *layout) fixGroups() {
	n := max(y.cut.Size, 1)
	var group, files int64 // groups begun, files in the last
	for f := range y.pieces {
		middle := y.starts[f] + (y.starts[f+1]-y.starts[f])/2
		due := mulDiv(group, int64(y.total()), n) <= int64(middle)
		left := int64(len(y.pieces) - f)
		if f == 0 || files == y.maxFiles() || group < n && (due || left <= n-group) {
			y.pieces[f] = 1
			group, files = group+1, 0
		}
		files++
	}
}

// fixPieces gives each fragment its share of the batches, at least one, so
// that the sum is what was asked for if the fragments can be cut so often.
func (y *layout) fixPieces() {
	left := y.cut.Size
	order := make([]int, len(y.pieces))
	for f := range order {
		order[f] = f
	}
	// Those that can be cut least for their size are served first, so that
	// what they can't take goes to others.
	density := func(f int) float64 { return float64(y.most(f)) / float64(y.fragments[f].Extent) }
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(density(a), density(b)) })
	extent := int64(y.total())
	for i, f := range order {
		share := (mulDiv(left, 2*min(y.fragments[f].Extent, 1<<61), extent) + 1) / 2
		share = max(1, min(share, y.most(f), left-int64(len(order)-i-1)))
		y.pieces[f] = int32(share)
		left -= share
		extent -= y.fragments[f].Extent
	}
}
