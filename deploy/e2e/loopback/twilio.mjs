// Twilio's own client against another host: asks for a token, and with a wrong password. Prints what it got as JSON.
import twilio from 'twilio';

const [url, key, account] = process.argv.slice(2);
const client = (password) => {
  const c = twilio(account, password);
  c.api.baseUrl = url; // the one line that differs
  return c;
};
const { accountSid, ttl, username, password, iceServers, dateCreated } = await client(key).tokens.create({ ttl: 600 });
const refusal = await client('wrong').tokens.create().catch(({ status, code, message }) => ({ status, code, message }));
console.log(JSON.stringify({ accountSid, ttl, username, password, iceServers, dateCreated, refusal }));
