//! A page with the TypeScript client keeps its socket through twenty instructed migrations, in a real browser.

mod common;

use common::{
    foreshift::Foreshift,
    numbers::{MOVES, POOL, Told, move_to_and_fro, nodes},
    peers::browser,
};

#[test]
fn a_page_in_chromium_keeps_its_socket_through_twenty_instructed_migrations() {
    let nodes = nodes();
    let foreshift = Foreshift::start(&[&nodes[0], &nodes[1]], POOL);
    let page = foreshift.url(&format!("/page?moves={MOVES}"));
    let _browser = browser(&page, &foreshift.folder().join("profile"));
    move_to_and_fro(&foreshift, nodes, Told::Follows);
}
