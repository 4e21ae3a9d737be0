// Package call keeps calls by ID: who is in them, and what a late joiner must be told. It knows no wire protocol and
// no connection: whoever is in a call is a [Party], which is told [Event]s.
//
// # IDs
//
// An ID that a [Registry] makes has 80 random bits in 16 letters and digits, none of which look alike. Who
// knows it may join. An ID from a token is reserved: only bearers of tokens that list it may join, so it need not be
// hard to guess.
//
// # Restarts
//
// Calls live in memory and end with the process. So that their parties can go on in the next one, each is given a
// proof that it was in the call: who shows it to a later process, whose secret is the same, within
// [RestoreWithin] of its start makes the call again, or joins it if another party was faster. A proof is worth
// nothing to the process that issued it, where a call that isn't there has ended, nor for a call that was made again
// and has ended since. It says how many may be in the call. Nobody can make one up, and knowing the ID alone is not enough.
//
// # What is kept
//
// What a party sends to all while nobody else is there is kept for the first who joins, and then forgotten: for each
// sender the latest description, then its candidates, then everything else. A candidate that overtook its
// description is put back behind it. A new description replaces the earlier one and the candidates that came after
// that, because they belong to a negotiation that nobody will finish. [signal.CallLimits] bounds the bytes of one call,
// of all calls, and of what one address has sent to all of them; maxKept bounds the messages of one call. What is too
// much is refused: nothing that was kept makes room for it.
//
// # Ends
//
// A call ends when somebody hangs up, when nobody has joined it in time, or when it has been empty for
// [EmptyWait]. Everything kept goes with it. One timer for each call is all that runs.
//
// # Order
//
// A call has a lock, under which its parties are told, so that all see the same order; telling must not block. A
// joiner's own answer is made under the lock too: it comes before anything that others do afterwards.
//
// Calls live in the memory of one process. Several nodes would have to agree where a call lives, which its ID could
// say; nothing here stands in the way.
package call
