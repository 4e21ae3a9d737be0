package doctor

import "golang.org/x/sys/unix"

// synchronized reports whether the kernel regards the clock as synchronized.
func synchronized() (bool, error) {
	state, err := unix.Adjtimex(new(unix.Timex))
	return state != unix.TIME_ERROR, err
}
