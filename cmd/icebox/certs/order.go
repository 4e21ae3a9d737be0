package certs

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/acme"
)

// attemptTimeout is how long one attempt to get a certificate may take.
const attemptTimeout = 5 * time.Minute

// obtain orders a new certificate and stores it.
func (a *ACME) obtain(ctx context.Context) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	client, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	order, err := a.authorizedOrder(ctx, client)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: a.o.Names}, key)
	if err != nil {
		return nil, err
	}
	chain, _, err := client.CreateCertFromOrder(ctx, order, request, true)
	if err != nil {
		return nil, fmt.Errorf("ask for the certificate: %w", err)
	}
	return a.store(key, chain)
}

// client returns a client with an account at the authority.
func (a *ACME) client(ctx context.Context) (*acme.Client, error) {
	key, err := a.accountKey()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: a.o.Roots}
	client := &acme.Client{
		Key: key, DirectoryURL: a.o.Directory, UserAgent: "icebox",
		HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
		RetryBackoff: func(n int, _ *http.Request, _ *http.Response) time.Duration {
			return min(time.Duration(n)*time.Second, 10*time.Second)
		},
	}
	account := new(acme.Account)
	if a.o.Email != "" {
		account.Contact = []string{"mailto:" + a.o.Email}
	}
	if _, err := client.Register(ctx, account, acme.AcceptTOS); err != nil && !errors.Is(err, acme.ErrAccountAlreadyExists) {
		return nil, fmt.Errorf("register at %s: %w", a.o.Directory, err)
	}
	return client, nil
}

// accountKey returns the key of the account, and generates it if it does not exist.
func (a *ACME) accountKey() (crypto.Signer, error) {
	text, err := a.dir.Obtain(accountFile,
		func(text []byte) (bool, error) {
			_, err := parseKey(text)
			return err == nil, nil // a damaged key is replaced, because a new account does as well
		},
		func() ([]byte, error) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return nil, err
			}
			return encodeKey(key)
		})
	if err != nil {
		return nil, err
	}
	return parseKey(text)
}

// authorizedOrder returns an order whose names the authority has validated. It makes an order for each kind of challenge until one
// works.
func (a *ACME) authorizedOrder(ctx context.Context, client *acme.Client) (*acme.Order, error) {
	var problems []error
	for _, kind := range a.challengeKinds() {
		order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(a.o.Names...))
		if err != nil {
			return nil, fmt.Errorf("order: %w", err)
		}
		for _, url := range order.AuthzURLs {
			if err = a.authorize(ctx, client, url, kind); err != nil {
				break
			}
		}
		if err == nil {
			if order, err = client.WaitOrder(ctx, order.URI); err == nil {
				return order, nil
			}
		}
		problems = append(problems, fmt.Errorf("%s: %w", kind, err))
	}
	return nil, errors.Join(problems...)
}

// authorize completes a challenge of the given kind for one of the names.
func (a *ACME) authorize(ctx context.Context, client *acme.Client, url, kind string) error {
	z, err := client.GetAuthorization(ctx, url)
	if err != nil || z.Status == acme.StatusValid {
		return err
	}
	i := slices.IndexFunc(z.Challenges, func(c *acme.Challenge) bool { return c.Type == kind })
	if i < 0 {
		return fmt.Errorf("%s: the authority does not offer this challenge", z.Identifier.Value)
	}
	done, err := a.respondToChallenge(client, kind, z.Challenges[i].Token, z.Identifier.Value)
	if err != nil {
		return err
	}
	defer done()
	if _, err = client.Accept(ctx, z.Challenges[i]); err == nil {
		_, err = client.WaitAuthorization(ctx, url)
	}
	return authorityReasons(err)
}

// respondToChallenge makes the response to a challenge available until done is called.
func (a *ACME) respondToChallenge(client *acme.Client, kind, token, name string) (done func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	locked := func(do func()) func() {
		return func() {
			a.mu.Lock()
			defer a.mu.Unlock()
			do()
		}
	}
	if kind == "http-01" {
		path := client.HTTP01ChallengePath(token)
		a.challengeResponses[path], err = client.HTTP01ChallengeResponse(token)
		return locked(func() { delete(a.challengeResponses, path) }), err
	}
	challengeCert, err := client.TLSALPN01ChallengeCert(token, name)
	a.challengeCerts[strings.ToLower(name)] = &challengeCert
	return locked(func() { delete(a.challengeCerts, strings.ToLower(name)) }), err
}

// authorityReasons returns an error with the authority's own reasons, without the library's words around them.
func authorityReasons(err error) error {
	var refused *acme.AuthorizationError
	if !errors.As(err, &refused) || len(refused.Errors) == 0 {
		return err
	}
	var all []string
	for _, e := range refused.Errors {
		var reason *acme.Error
		if errors.As(e, &reason) {
			e = errors.New(reason.Detail)
		}
		all = append(all, e.Error())
	}
	return fmt.Errorf("%s: the authority says: %s", refused.Identifier, strings.Join(all, "; "))
}

// store writes a certificate into the state directory.
func (a *ACME) store(key *ecdsa.PrivateKey, chain [][]byte) (*tls.Certificate, error) {
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString(a.preamble())
	out.Write(text)
	for _, der := range chain {
		if err := pem.Encode(out, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			return nil, err
		}
	}
	pair, err := tls.X509KeyPair(out.Bytes(), out.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the authority's certificate: %w", err)
	}
	return &pair, a.dir.Replace(issuedFile, out.Bytes())
}

// preamble is the first line of a stored certificate. It names the authority. PEM decoders skip it.
func (a *ACME) preamble() string { return "from " + a.o.Directory + "\n" }

// load returns the stored certificate, or nil if it does not suit the options.
func (a *ACME) load() (*tls.Certificate, error) {
	text, err := a.dir.Read(issuedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if pair, ok := a.parseStored(text); ok {
		return pair, nil
	}
	return nil, nil
}

// parseStored parses a stored certificate and reports whether it suits the options. A damaged one does not.
func (a *ACME) parseStored(text []byte) (*tls.Certificate, bool) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil || !strings.HasPrefix(string(text), a.preamble()) || time.Now().After(pair.Leaf.NotAfter) {
		return nil, false
	}
	for _, name := range a.o.Names {
		if pair.Leaf.VerifyHostname(name) != nil {
			return nil, false
		}
	}
	return &pair, true
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(text []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("there is no PEM block")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the key cannot sign")
	}
	return signer, nil
}
