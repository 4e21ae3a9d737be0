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

// orderWithin bounds one attempt to get a certificate.
const orderWithin = 5 * time.Minute

// obtain gets a new certificate and keeps it.
func (a *ACME) obtain(ctx context.Context) (*tls.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, orderWithin)
	defer cancel()
	client, err := a.client(ctx)
	if err != nil {
		return nil, err
	}
	order, err := a.authorized(ctx, client)
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
	return a.keep(key, chain)
}

// client is one with an account at the authority.
func (a *ACME) client(ctx context.Context) (*acme.Client, error) {
	key, err := a.account()
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

// account is the key of the account, made when there is none.
func (a *ACME) account() (crypto.Signer, error) {
	text, err := a.dir.Obtain(accountFile,
		func(text []byte) (bool, error) {
			_, err := parseKey(text)
			return err == nil, nil // an account that is lost is no loss
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

// authorized is an order that the authority is content with: for each kind of
// challenge a new one, until one works.
func (a *ACME) authorized(ctx context.Context, client *acme.Client) (*acme.Order, error) {
	var problems []error
	for _, kind := range a.solvers() {
		order, err := client.AuthorizeOrder(ctx, acme.DomainIDs(a.o.Names...))
		if err != nil {
			return nil, fmt.Errorf("order: %w", err)
		}
		for _, url := range order.AuthzURLs {
			if err = a.vouch(ctx, client, url, kind); err != nil {
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

// vouch shows the authority that one of the names is ours.
func (a *ACME) vouch(ctx context.Context, client *acme.Client, url, kind string) error {
	z, err := client.GetAuthorization(ctx, url)
	if err != nil || z.Status == acme.StatusValid {
		return err
	}
	i := slices.IndexFunc(z.Challenges, func(c *acme.Challenge) bool { return c.Type == kind })
	if i < 0 {
		return fmt.Errorf("%s: the authority does not offer it", z.Identifier.Value)
	}
	done, err := a.prepare(client, kind, z.Challenges[i].Token, z.Identifier.Value)
	if err != nil {
		return err
	}
	defer done()
	if _, err = client.Accept(ctx, z.Challenges[i]); err == nil {
		_, err = client.WaitAuthorization(ctx, url)
	}
	return plainly(err)
}

// prepare has the answer to a challenge ready until done is called.
func (a *ACME) prepare(client *acme.Client, kind, token, name string) (done func(), err error) {
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
		a.answers[path], err = client.HTTP01ChallengeResponse(token)
		return locked(func() { delete(a.answers, path) }), err
	}
	double, err := client.TLSALPN01ChallengeCert(token, name)
	a.doubles[strings.ToLower(name)] = &double
	return locked(func() { delete(a.doubles, strings.ToLower(name)) }), err
}

// plainly is what the authority itself found wrong, without the library's words
// around it.
func plainly(err error) error {
	var refused *acme.AuthorizationError
	if !errors.As(err, &refused) || len(refused.Errors) == 0 {
		return err
	}
	var all []string
	for _, e := range refused.Errors {
		var told *acme.Error
		if errors.As(e, &told) {
			e = errors.New(told.Detail)
		}
		all = append(all, e.Error())
	}
	return fmt.Errorf("%s: the authority says: %s", refused.Identifier, strings.Join(all, "; "))
}

// keep writes a certificate into the state directory.
func (a *ACME) keep(key *ecdsa.PrivateKey, chain [][]byte) (*tls.Certificate, error) {
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	out := bytes.NewBufferString(a.heading())
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

// heading stands above a kept certificate: whose it is. Readers of PEM skip it.
func (a *ACME) heading() string { return "from " + a.o.Directory + "\n" }

// stored is the kept certificate, nil if it is not what is wanted now.
func (a *ACME) stored() (*tls.Certificate, error) {
	text, err := a.dir.Read(issuedFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if pair, ok := a.wanted(text); ok {
		return pair, nil
	}
	return nil, nil
}

// wanted reads a kept certificate, and reports whether it is the one to serve
// now. One that is damaged is not.
func (a *ACME) wanted(text []byte) (*tls.Certificate, bool) {
	pair, err := tls.X509KeyPair(text, text)
	if err != nil || !strings.HasPrefix(string(text), a.heading()) || time.Now().After(pair.Leaf.NotAfter) {
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
		return nil, errors.New("no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("no key to sign with")
	}
	return signer, nil
}
