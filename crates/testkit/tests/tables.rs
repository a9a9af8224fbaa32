//! Tables: joins and history, through the test driver.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::time::Duration;

use millstream_state::{Stores, TimestampedKeyValueStore, ValueAndTimestamp};
use millstream_testkit::TopologyTestDriver;
use millstream_topology::{
    Consumed, Context, Incoming, KTable, Materialized, Processor, ProcessorError, StoreHandle, StreamsBuilder,
    TableJoined,
};
use millstream_types::{Config, Serdes, Timestamp};

/// A result that nobody gave a serde for.
#[derive(Clone)]
struct Invoice {
    order: String,
    customer: Option<String>,
}

fn config() -> Config {
    Config::builder().application_id("app").bootstrap_servers("memory:").build().unwrap()
}

fn customer(order: &str) -> Option<String> {
    order.split_once(':').map(|(customer, _)| customer.to_owned())
}

fn invoices(builder: &StreamsBuilder) -> KTable<String, Invoice> {
    let orders = builder.table::<String, String>("orders");
    let customers = builder.table::<String, String>("customers");
    orders.left_join_on_foreign_key(
        &customers,
        |order: &String| customer(order),
        |order, customer| Invoice { order: order.clone(), customer: customer.cloned() },
    )
}

#[test]
fn rows_follow_the_row_they_refer_to() {
    let builder = StreamsBuilder::new();
    let shown = |invoice: Invoice| format!("{} for {}", invoice.order, invoice.customer.as_deref().unwrap_or("nobody"));
    invoices(&builder).map_values(shown).to_stream().to("invoices");
    let topology = builder.build().unwrap();
    let driver = TopologyTestDriver::new(&topology, config()).unwrap();
    let orders = driver.create_input_topic("orders", Serdes::string(), Serdes::string());
    let customers = driver.create_input_topic("customers", Serdes::string(), Serdes::string());
    let invoices = driver.create_output_topic("invoices", Serdes::string(), Serdes::string().optional());
    let read = || {
        let read = invoices.read_key_values_to_list().unwrap();
        read.into_iter().map(|(key, value)| format!("{key} {}", value.unwrap_or_default())).collect::<Vec<_>>()
    };
    orders.pipe_input("1".into(), "ann:tea".into()).unwrap();
    orders.pipe_input("2".into(), "ann:cup".into()).unwrap();
    orders.pipe_input("3".into(), "gift".into()).unwrap();
    assert_eq!(read(), ["1 ann:tea for nobody", "2 ann:cup for nobody", "3 gift for nobody"]);
    customers.pipe_input("ann".into(), "Ann".into()).unwrap();
    assert_eq!(read(), ["1 ann:tea for Ann", "2 ann:cup for Ann"]);
    orders.pipe_input("1".into(), "bob:tea".into()).unwrap();
    assert_eq!(read(), ["1 bob:tea for nobody"]);
    customers.pipe_input("ann".into(), "Anna".into()).unwrap();
    assert_eq!(read(), ["2 ann:cup for Anna"]);
    let store = driver.store_names().into_iter().find(|name| name.contains("SUBSCRIPTION-STATE-STORE")).unwrap();
    assert_eq!(driver.row_count(&store).unwrap(), 2);
}

#[test]
fn a_result_needs_a_serde_only_where_it_is_stored() {
    let builder = StreamsBuilder::new();
    let _ = invoices(&builder).filter(|_, _| true);
    builder.build().unwrap();

    let builder = StreamsBuilder::new();
    let invoices = invoices(&builder);
    let names = builder.table::<String, String>("names");
    let _ = names.join(&invoices, |name, invoice| format!("{name}{}", invoice.order));
    let error = builder.build().unwrap_err().to_string();
    assert!(error.contains("needs a serde for its values"), "{error}");
}

#[test]
fn a_named_foreign_key_join_names_all_it_makes() {
    let builder = StreamsBuilder::new();
    let orders = builder.table::<String, String>("orders");
    let customers = builder.table::<String, String>("customers");
    let _ = orders.join_on_foreign_key_with(
        &customers,
        |_, order: &String| order.clone(),
        |order, customer| format!("{order}{customer}"),
        TableJoined::named("bill"),
        Materialized::named("bills"),
    );
    let text = builder.build().unwrap().describe().to_string();
    for name in ["bill-subscription-registration-topic", "bill-subscription-store", "bill-result", "bills"] {
        assert!(text.contains(name), "{name} in {text}");
    }
}

#[test]
fn a_stream_reads_a_versioned_table_as_of_its_records() {
    let builder = StreamsBuilder::new();
    let history = Stores::persistent_versioned_key_value_store("prices", Duration::from_secs(60));
    let prices = builder.table_with::<String, i64>("prices", Consumed::default(), Materialized::of_supplier(history));
    let sales = builder.stream::<String, i64>("sales");
    sales.join(&prices, |amount, price| amount * price).to("totals");
    let topology = builder.build().unwrap();
    let driver = TopologyTestDriver::new(&topology, config()).unwrap();
    let prices = driver.create_input_topic("prices", Serdes::string(), Serdes::long());
    let sales = driver.create_input_topic("sales", Serdes::string(), Serdes::long());
    let totals = driver.create_output_topic("totals", Serdes::string(), Serdes::long());
    prices.pipe_input_at("tea".into(), 3, Timestamp(10)).unwrap();
    prices.pipe_input_at("tea".into(), 4, Timestamp(20)).unwrap();
    sales.pipe_input_at("tea".into(), 2, Timestamp(15)).unwrap();
    sales.pipe_input_at("tea".into(), 2, Timestamp(25)).unwrap();
    let read: Vec<i64> = totals.read_key_values_to_list().unwrap().into_iter().map(|(_, total)| total).collect();
    assert_eq!(read, [6, 8]);
    let store = driver.versioned_key_value_store::<String, i64>("prices").unwrap();
    let old = store.get_as_of(&"tea".to_owned(), Timestamp(15)).unwrap().unwrap();
    assert_eq!((old.value, old.valid_to), (3, Some(Timestamp(20))));
}

#[test]
fn a_stream_of_a_table_under_other_keys_is_two_nodes() {
    let written = |is_short: bool| {
        let builder = StreamsBuilder::new();
        for table in [builder.table::<i64, i64>("a"), builder.table::<i64, i64>("b").named("changes")] {
            let stream = if is_short {
                table.to_stream_with_key(|_, value| value.copied().unwrap_or(-1))
            } else {
                table.to_stream().select_key(|_, value| value.unwrap_or(-1))
            };
            stream.group_by_key().count().to_stream().to("out");
        }
        builder.build().unwrap().describe().to_string()
    };
    assert_eq!(written(true), written(false));
    assert!(written(true).contains("Processor: changes (stores: [])\n      --> KSTREAM-KEY-SELECT-"));
}

/// Writes ten rows into the store of a table when it is told to.
struct Spread(Option<StoreHandle<TimestampedKeyValueStore<String, String>>>);

impl Processor for Spread {
    type KeyIn = String;
    type ValueIn = Option<String>;
    type KeyOut = String;
    type ValueOut = String;

    fn init(&mut self, ctx: &mut Context<'_, String, String>) -> Result<(), ProcessorError> {
        self.0 = Some(ctx.store_handle("rows")?);
        Ok(())
    }

    fn process(
        &mut self,
        ctx: &mut Context<'_, String, String>,
        record: Incoming<'_, String, Option<String>>,
    ) -> Result<(), ProcessorError> {
        if record.key == "go" {
            for row in 0..10 {
                let value = ValueAndTimestamp::new(row.to_string(), record.timestamp);
                ctx.store(self.0.unwrap()).put(&format!("row {row}"), Some(value))?;
            }
        }
        Ok(())
    }
}

#[test]
fn rows_that_others_write_into_a_tables_cache_reach_its_children_when_they_do_not_fit() {
    for is_child in [false, true] {
        let builder = StreamsBuilder::new();
        let named = Materialized::named("rows");
        let table = builder.table_with::<String, String>("rows", Consumed::default(), named);
        let stream =
            if is_child { table.to_stream() } else { builder.stream::<String, String>("commands").map_values(Some) };
        stream.process_with(|| Spread(None), &["rows"]);
        table.to_stream().to("out");
        let config = Config::builder().application_id("app").bootstrap_servers("memory:");
        let config = config.set("statestore.cache.max.bytes", "400").build().unwrap();
        let driver = TopologyTestDriver::new(builder.build().unwrap(), config).unwrap();
        let topic = if is_child { "rows" } else { "commands" };
        driver
            .create_input_topic(topic, Serdes::string(), Serdes::string())
            .pipe_input("go".into(), String::new())
            .unwrap();
        let out = driver.create_output_topic("out", Serdes::string(), Serdes::string());
        let mut rows: Vec<_> = out.read_key_values_to_list().unwrap().into_iter().map(|(key, _)| key).collect();
        rows.retain(|key| key != "go");
        assert_eq!(rows, (0..10).map(|row| format!("row {row}")).collect::<Vec<_>>(), "is child: {is_child}");
    }
}
