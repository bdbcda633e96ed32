package api

import (
	"errors"
	"strings"
)

// Faults of a command line.
var (
	errOpenQuote  = errors.New("the command has a quote that is never closed")
	errLastEscape = errors.New("the command ends in a backslash, which escapes nothing")
	errNoCommand  = errors.New("the command is empty")
)

// SplitCommand cuts a command line into a program and its arguments by a shell's rules
// of quoting, without any expansion: words end at blanks; within '…' everything
// stands for itself; within "…" a backslash escapes `"`, `\`, `$`, a backquote
// and the end of a line; elsewhere it escapes any byte. No word is a comment.
func SplitCommand(line string) ([]string, error) {
	var s splitter
	for i := 0; i < len(line); i++ {
		s.take(line[i])
	}
	switch {
	case s.quote != 0:
		return nil, errOpenQuote
	case s.escaped:
		return nil, errLastEscape
	}
	s.end()
	if len(s.words) == 0 {
		return nil, errNoCommand
	}
	return s.words, nil
}

// splitter is where SplitCommand is in a line.
type splitter struct {
	words   []string
	word    []byte
	inWord  bool // a word has begun, though it may be empty
	quote   byte // the quote that is open; 0 for none
	escaped bool // the byte before was a backslash that escapes
}

func (s *splitter) take(c byte) {
	switch {
	case s.escaped:
		s.unescape(c)
	case c == '\\' && s.quote != '\'':
		s.escaped = true
	case s.quote != 0:
		s.quoted(c)
	case c == '\'' || c == '"':
		s.quote, s.inWord = c, true
	case strings.IndexByte(" \t\r\n", c) >= 0:
		s.end()
	default:
		s.add(c)
	}
}

func (s *splitter) unescape(c byte) {
	s.escaped = false
	if c == '\n' {
		return // a line that goes on
	}
	if s.quote == '"' && strings.IndexByte("\"\\$`", c) < 0 {
		s.add('\\')
	}
	s.add(c)
}

func (s *splitter) quoted(c byte) {
	if c == s.quote {
		s.quote = 0
		return
	}
	s.add(c)
}

func (s *splitter) add(c byte) {
	s.word, s.inWord = append(s.word, c), true
}

func (s *splitter) end() {
	if s.inWord {
		s.words = append(s.words, string(s.word))
	}
	s.word, s.inWord = s.word[:0], false
}
