//! The life of a twin with the unmodified subxt.  Prints one JSON object for each step.

use serde_json::{json, Value as Json};
use std::io::BufRead;
use subxt::dynamic::{self, Value};
use subxt::ext::sp_core::{sr25519, Pair};
use subxt::ext::sp_runtime::AccountId32;
use subxt::tx::PairSigner;
use subxt::{OnlineClient, PolkadotConfig};

type Failure = Box<dyn std::error::Error>;
type Client = OnlineClient<PolkadotConfig>;
type Signer = PairSigner<PolkadotConfig, sr25519::Pair>;

fn say(step: &str, value: Json) {
    println!("{}", json!({ "step": step, "value": value }));
}

/// Submits a call, waits for its block and returns its events, or the text of its failure.
async fn send(
    client: &Client,
    signer: &Signer,
    call: (&str, &str),
    arguments: Vec<(&str, Value)>,
) -> Result<Vec<String>, Failure> {
    let call = dynamic::tx(call.0, call.1, arguments);
    let progress = client.tx().sign_and_submit_then_watch_default(&call, signer).await?;
    let events = progress.wait_for_in_block().await?.wait_for_success().await?;
    let mut names = vec![];
    for event in events.iter() {
        names.push(event?.variant_name().to_string());
    }
    Ok(names)
}

/// A map's value, as text; empty when there is none.
async fn read(client: &Client, pallet: &str, item: &str, keys: Vec<Value>) -> Result<String, Failure> {
    let address = dynamic::storage(pallet, item, keys);
    let found = client.storage().at_latest().await?.fetch(&address).await?;
    Ok(match found {
        Some(value) => value.to_value()?.to_string(),
        None => String::new(),
    })
}

fn none() -> Value {
    Value::unnamed_variant("None", [])
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let url = std::env::args().nth(1).ok_or("give the address of the chain")?;
    let mut client = Client::from_url(&url).await?;
    let pair = sr25519::Pair::from_string("//Ferdie", None)?;
    let account = AccountId32::from(pair.public());
    let signer = PairSigner::new(pair);
    say("connected", json!(client.runtime_version().spec_version));

    let terms = vec![
        ("document_link", Value::from_bytes("https://example.org/terms")),
        ("document_hash", Value::from_bytes("1a2b")),
    ];
    send(&client, &signer, ("TfgridModule", "user_accept_tc"), terms).await?;
    let twin = vec![("relay", none()), ("pk", none())];
    let names = send(&client, &signer, ("TfgridModule", "create_twin"), twin).await?;
    say("twin", json!(names.contains(&"TwinStored".to_string())));
    let key = vec![Value::from_bytes(AsRef::<[u8]>::as_ref(&account))];
    let id = read(&client, "TfgridModule", "TwinIdByAccountID", key).await?;
    say("twin id", json!(id.parse::<u32>()?));

    let name = vec![("name", Value::from_bytes("rustname"))];
    send(&client, &signer, ("SmartContractModule", "create_name_contract"), name).await?;
    let key = vec![Value::from_bytes("rustname")];
    let contract: u64 =
        read(&client, "SmartContractModule", "ContractIDByNameRegistration", key).await?.parse()?;
    say("contract", json!(contract));
    let stored = read(&client, "SmartContractModule", "Contracts", vec![Value::u128(contract.into())]).await?;
    say("contract name", json!(if stored.contains("NameContract") { "rustname" } else { &stored }));
    let wrong = vec![("contract_id", Value::u128(999_999))];
    let refused = send(&client, &signer, ("SmartContractModule", "cancel_contract"), wrong).await;
    let text = refused.err().map(|problem| problem.to_string()).unwrap_or_default();
    say("module error", json!(if text.contains("ContractNotExists") { "ContractNotExists" } else { &text }));

    say("restart", Json::Null);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    client = Client::from_url(&url).await?; // this version has no reconnection of its own
    let last = vec![("contract_id", Value::u128(contract.into()))];
    let names = send(&client, &signer, ("SmartContractModule", "cancel_contract"), last).await?;
    say("cancelled", json!(names.contains(&"NameContractCanceled".to_string())));
    say("head", json!(client.blocks().at_latest().await?.number() > 0));
    Ok(())
}
