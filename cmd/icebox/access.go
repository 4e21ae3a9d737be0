package main

import (
	"errors"
	"fmt"
	"io/fs"

	"icebox/cmd/icebox/admin"
	"icebox/cmd/icebox/statedir"
	"icebox/config"
)

// access returns the Access that the running daemon has published in its state directory. It works even if the
// configuration has mistakes, as long as it knows the directory, because the daemon itself reports the mistakes.
func (p *program) access(f *configFlags) (admin.Access, error) {
	cfg, invalid := p.load(f)
	path := p.stateDirOf(f)
	if invalid == nil {
		path = cfg.StateDir
	}
	dir, err := statedir.OpenExisting(path, newLogger(p.stderr, config.Log{Level: "warn"}, nil))
	var a admin.Access
	if err == nil {
		a, err = admin.ReadAccess(dir)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return a, failure(fmt.Errorf("%w: run this as root or as the daemon's user", err))
	case err != nil && invalid != nil:
		return a, invalid
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, admin.ErrNotRunning):
		return a, failure(fmt.Errorf("no daemon uses the state directory %s: name the right one with --state-dir", path))
	}
	return a, failure(err)
}

// stateDirOf returns the state directory if the configuration is invalid. It takes it from the command line, the
// environment or the default.
func (p *program) stateDirOf(f *configFlags) string {
	if dir, ok := f.given()["state_dir"]; ok {
		return dir
	}
	if dir := p.getenv("ICEBOX_STATE_DIR"); dir != "" {
		return dir
	}
	return p.stateDir()
}

// reach returns an Access for GET requests: the one that the daemon has published, or, if this user may not read that, one with
// the configured address.
func (p *program) reach(f *configFlags) (admin.Access, error) {
	access, err := p.access(f)
	if err == nil {
		return access, nil
	}
	cfg, invalid := p.load(f)
	if invalid != nil || cfg.Admin.Address.Port == 0 {
		return admin.Access{}, err
	}
	return admin.At(cfg.Admin.Address.Addr, cfg.Admin.Address.Port), nil
}
