// Package config turns one YAML file, the ICEBOX_* environment, the command
// line's flags and the secret files they name into one valid Config.
//
// # One description of the keys
//
// The Config types are the schema: their yaml tags name the keys, their Go
// types say what a value may be. Decoding, the names of environment variables,
// suggestions for misspelt keys and the printed effective configuration all
// follow from them by reflection. What a key holds when nobody sets it is in
// defaults.yaml, read by the same decoder.
//
// A record is a YAML mapping with a fixed set of keys. Whatever a user names
// (accounts, secrets, API keys, address pairs, origins) is a list of records
// and never a mapping keyed by that name, so names keep their case and dots.
// A setting is what one layer replaces as a whole: a scalar or a list, and tls.
//
// # Layers
//
// Later ones win: defaults.yaml, the file, the environment, flags. Viper holds
// the layers and picks the winner of each setting; it never sees YAML, only
// values that were decoded strictly, so it can neither fold the case of a name
// nor accept a key that does not exist.
//
//   - The environment variable of turn.limits.permissions is
//     ICEBOX_TURN_LIMITS_PERMISSIONS. A list is written as YAML flow text,
//     [{name: a, password: b}], or as scalars with commas between them. An
//     empty variable counts as unset. ICEBOX_CONFIG names the file and is read
//     by the command, and what Kubernetes sets for a service called icebox
//     (ICEBOX_SERVICE_HOST, ICEBOX_PORT_3478_UDP ...) is ignored; every other
//     unknown ICEBOX_ variable is an error.
//   - File names in a value are relative to the configuration file.
//
// # Errors
//
// Load finds all errors before it returns. Each names its key and where it was
// written: FILE:LINE, the variable or the flag. Unknown and duplicate keys,
// YAML anchors and aliases, and a second document are errors. A list or record
// with no value (every line below it commented out) counts as unset; a scalar
// with no value is an error.
//
// A shared secret or an API key shorter than 16 bytes is an error, because
// whoever guesses it relays at the owner's cost. A shared secret that another
// program dictates may carry allow_short: true.
//
// # Secrets
//
// Every password, key and secret has the type Secret, which prints, logs and
// marshals as <hidden>. Secret files lose one trailing newline. A file that
// other users may read gives a warning, not an error: container runtimes mount
// secrets that way.
package config
