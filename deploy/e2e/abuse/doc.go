// Package abuse attacks a running icebox as attackers on the Internet would, and shows that its honest clients are not
// affected. It sends floods from many addresses, opens thousands of idle and broken connections, uses up the file
// descriptors, lets clients race for quotas, asks for forbidden peers, and ends with a long soak that must leave nothing
// behind. It holds no input that harms other software.
//
// The daemon is the real binary in its own process: the one that ICEBOX_BIN names, or one that the tests build. Its
// memory, file descriptors and processor time are read from /proc. Every packet goes over loopback addresses, because
// Linux lets any process send from all of 127.0.0.0/8, as forged source addresses would. The tests need no root, but
// their hard limit of open files must be at least 20,000.
//
// Floods are paced and end after seconds. SOAK_FOR sets the duration of the soak. Its default is 10m with LONG=1 and 5s
// otherwise, which is a smoke test. A soak of ten minutes or more must make at least 200,000 allocations.
package abuse
