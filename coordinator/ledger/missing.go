package ledger

// Missing is an output that an attempt needed and could not have.
type Missing struct {
	Output OutputID
	// Gone: its holder answered that it does not have it. Otherwise the holder
	// could not be reached, and may still have it.
	Gone bool
	// Reason is for people.
	Reason string
}
