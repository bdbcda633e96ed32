package shelf

import (
	"testing"

	"pgregory.net/rapid"
)

func TestAResultIsKeptWholeOrNotAtAll(t *testing.T) {
	s := New[string](1000, 2000)
	parts := []Part{{ID: "a", Data: make([]byte, 300)}, {ID: "b", Data: make([]byte, 100)}}
	if s.Put("j", parts) {
		t.Error("a result without room was kept")
	}
	if !s.Reserve("j", 2, 400) || s.Reserve("j", 2, 400) {
		t.Error("room is reserved once")
	}
	if _, ok := s.Get("j"); ok {
		t.Error("a result can be had before it is there")
	}
	if !s.Put("j", parts) || s.Put("j", parts) {
		t.Error("a result is put once")
	}
	if got, ok := s.Get("j"); !ok || len(got) != 2 || got[1].ID != "b" {
		t.Errorf("%v, %v came back", got, ok)
	}
	if s.Reserve("large", 1, 1001) {
		t.Error("a result that is too large was taken")
	}
	if !s.Reserve("grown", 1, 10) || s.Put("grown", []Part{{Data: make([]byte, 11)}}) {
		t.Error("a result that is larger than its room was kept")
	}
	s.Drop("j")
	s.Drop("j")
	if s.Used() != 0 {
		t.Errorf("%d bytes are left", s.Used())
	}
}

func TestNoResultsAreKeptWhereNoneIsWanted(t *testing.T) {
	if New[int](-1, 0).Reserve(1, 0, 0) {
		t.Error("one was taken")
	}
}

func TestTheBoundHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := New[int](300, 1000)
		t.Repeat(map[string]func(*rapid.T){
			"reserve": func(t *rapid.T) {
				s.Reserve(rapid.IntRange(0, 9).Draw(t, "key"), rapid.IntRange(0, 3).Draw(t, "parts"), rapid.Int64Range(-5, 400).Draw(t, "bytes"))
			},
			"put": func(t *rapid.T) {
				s.Put(rapid.IntRange(0, 9).Draw(t, "key"), []Part{{Data: make([]byte, rapid.IntRange(0, 400).Draw(t, "bytes"))}})
			},
			"drop": func(t *rapid.T) { s.Drop(rapid.IntRange(0, 9).Draw(t, "key")) },
			"": func(t *rapid.T) {
				var held int64
				for _, r := range s.results {
					held += r.bytes
					for _, p := range r.parts {
						if int64(len(p.Data)) > r.bytes {
							t.Fatal("more is kept than was reserved")
						}
					}
				}
				if held != s.Used() || held > 1000 {
					t.Fatalf("%d bytes are held, %d counted", held, s.Used())
				}
			},
		})
	})
}
