"""Tests that sdk_calls.py finds each call that a function can make, on small crates.

infra/local/python infra/local/test_sdk_calls.py
"""

import unittest

import rust_items
import sdk_calls

QUEUE = """
pub trait Queue { fn enqueue(&self); fn count(&self) -> u64; }
pub struct SqsQueue { client: aws_sdk_sqs::Client }
impl SqsQueue {
    pub fn shared(client: aws_sdk_sqs::Client) -> Arc<dyn Queue> { Arc::new(Self { client }) }
    async fn attributes(&self) { self.client.get_queue_attributes().queue_url("x").send().await; }
}
#[async_trait]
impl Queue for SqsQueue {
    fn enqueue(&self) { let call = self.client.send_message_batch(); call.send() }
    fn count(&self) -> u64 { self.attributes() }
}
"""
SECRET = """
pub async fn read_secret(arn: &str) -> String { client().get_secret_value().send().await }
pub struct Login { secret: Secret }
struct Secret(String);
impl Drop for Secret { fn drop(&mut self) { remote().delete_secret(); } }
"""
SHARED = {(): "pub mod queue; pub mod secret;", ("queue",): QUEUE, ("secret",): SECRET}


def reached(main, **modules):
    """Returns the operations that a function with this `main` can call."""
    files = {("main",): main} | {(name,): text for name, text in modules.items()}
    workspace = sdk_calls.Workspace({"shared": SHARED, "f": files}, ["secretsmanager", "sqs"])
    return sorted(call.operation for call in workspace.reached("f"))


class Calls(unittest.TestCase):
    """Which calls a function can make."""

    def test_a_method_is_called_if_its_type_exists_and_its_name_is_called(self):
        made = "let queue = SqsQueue::shared(client);"
        table = (
            ("fn main() { }", []),
            ("fn main() { %s }", []),
            ("fn main() { %s queue.enqueue() }", ["SendMessageBatch"]),
            ("fn main() { %s queue.count() }", ["GetQueueAttributes"]),
            ("fn main() { %s Queue::count(&queue) }", ["GetQueueAttributes"]),
            ("fn main() { other.enqueue() }", []),
            ("fn main() { %s queue.attributes() }", []),  # private to its module
        )
        for main, expected in table:
            main = main % made if "%s" in main else main
            self.assertEqual(reached(main), expected, main)

    def test_a_function_is_reached_by_each_kind_of_name(self):
        table = (
            "fn main() { shared::secret::read_secret(arn) }",
            "use shared::secret::read_secret; fn main() { read_secret(arn) }",
            "fn main() { arns.map(secret::read_secret) }",
            "fn main() { let f = READER; f(arn) } const READER: Reader = read_secret;",
            "mod other; fn main() { other::Loader.load() }",
            "mod other; fn main() { other::run::<u8>() }",
        )
        other = """
            pub struct Loader;
            impl Loader { pub fn load(&self) { read_secret("x") } }
            pub fn run<T: Into<Vec<T>>>() where T: Fn() -> u8 { read_secret("x") }
        """
        for main in table:
            self.assertEqual(reached(main, other=other), ["GetSecretValue"], main)

    def test_methods_that_no_code_names_are_reached_with_the_value_that_has_them(self):
        self.assertEqual(reached("fn main() { let login: Login; }"), ["DeleteSecret"])

    def test_code_of_tests_is_left_out(self):
        main = "#[cfg(test)] mod tests; mod other; fn main() { other::run() }"
        test = 'pub fn run() { read_secret("x") }'
        other = '#[cfg(test)] pub fn run() { read_secret("x") }'
        self.assertEqual(reached(main, tests=test, other=other), [])

    def test_what_is_no_call_of_an_operation_is_left_out(self):
        for text in ("x.send_message(y)", "send_message()", '".send_message()"', "x.send()"):
            self.assertEqual(reached(f"fn main() {{ {text} }}"), [], text)
        self.assertEqual(reached("fn main() { x.send_message() }"), ["SendMessage"])

    def test_operations_have_the_names_of_the_sdks_methods(self):
        found = sdk_calls.operations(["sqs"])
        self.assertEqual(found["send_message_batch"], [("sqs", "SendMessageBatch")])
        self.assertEqual(found["get_queue_url"], [("sqs", "GetQueueUrl")])


class Items(unittest.TestCase):
    """Which items a file has."""

    def test_items_have_the_type_and_the_trait_of_their_block(self):
        source = """
            impl<T: Fn() -> u8> a::Trait<T> for b::Type<T> where T: Send { fn one() {} }
            impl Type<'_> { pub(crate) const fn two() -> [u8; 2] { [1; 2] } }
            trait Trait { fn three(&self) -> u8; fn four() { mod_free() } }
            pub mod inner { static mut FIVE: u8 = { 5 }; }
            macro_rules! six { () => { fn seven() {} } }
        """
        found = {
            item.name: (item.owner, item.trait, item.public)
            for item in rust_items.read("f", (), source)
        }
        expected = {
            "one": ("Type", "Trait", True),
            "two": ("Type", "", True),
            "three": ("Trait", "Trait", True),
            "four": ("Trait", "Trait", True),
            "FIVE": ("", "", False),
            "six": ("", "", True),
        }
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
