// Uses Twilio's own client with another host: it requests a token, first with the right password
// and then with a wrong one, and prints the results as JSON.
import twilio from 'twilio';

const [url, key, account] = process.argv.slice(2);
const client = (password) => {
  const c = twilio(account, password);
  c.api.baseUrl = url; // the only difference from normal use
  return c;
};
const { accountSid, ttl, username, password, iceServers, dateCreated } = await client(key).tokens.create({ ttl: 600 });
const refusal = await client('wrong').tokens.create().catch(({ status, code, message }) => ({ status, code, message }));
console.log(JSON.stringify({ accountSid, ttl, username, password, iceServers, dateCreated, refusal }));
