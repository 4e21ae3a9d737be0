// Package abuse attacks a running icebox the way the Internet does, and shows that its honest clients do not notice:
// floods from many addresses, idle and broken connections by the thousand, exhausted file descriptors, quotas under
// races, peers that are none of a relay's business, and a long soak after which nothing may be left over.
//
// The daemon is the real binary in a process of its own (ICEBOX_BIN, else one built here), so that its memory, its
// descriptors and its processor time can be read from /proc. Every packet goes over loopback addresses: Linux lets anyone
// send from all of 127.0.0.0/8, which is as good as forged sources. No root is needed, but for the 20,000 open files that
// the hard limit has to allow.
//
// Floods are paced and end after seconds. The soak runs for SOAK_FOR, a duration: 10m where LONG=1, else 5s, a smoke
// test. From ten minutes on it demands 200,000 allocations as well.
package abuse
