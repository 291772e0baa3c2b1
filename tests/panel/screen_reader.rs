//! Chromium's accessibility tree of each page, in a wide and a narrow window, in both languages,
//! with and without errors.

use crate::panel::PanelCluster;
use crate::panel::open_browser;
use serde_json::{Value, json};

/// Roles of controls and content that need an accessible name.
const NAMED: [&str; 13] = [
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "radio",
    "image",
    "img",
    "table",
    "columnheader",
    "navigation",
    "heading",
    "option",
];

/// A node of the accessibility tree.
#[derive(Debug)]
struct AccessibleNode {
    role: String,
    name: String,
    description: String,
    is_invalid: bool,
}

impl AccessibleNode {
    fn of(node: &Value) -> Option<AccessibleNode> {
        if node["ignored"] == true {
            return None;
        }
        let text = |value: &Value| value["value"].as_str().unwrap_or("").to_owned();
        let properties = node["properties"].as_array().map_or(&[][..], Vec::as_slice);
        let invalid = properties.iter().find(|property| property["name"] == "invalid");
        Some(AccessibleNode {
            role: text(&node["role"]),
            name: text(&node["name"]),
            description: text(&node["description"]),
            is_invalid: invalid.is_some_and(|property| property["value"]["value"] == "true"),
        })
    }
}

/// Checks the accessibility tree of the current page, and returns it.
#[track_caller]
fn check_tree(browser: &crate::panel::Browser, page: &str) -> Vec<AccessibleNode> {
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let nodes: Vec<AccessibleNode> =
        tree["nodes"].as_array().unwrap().iter().filter_map(AccessibleNode::of).collect();
    let count = |role: &str| nodes.iter().filter(|node| node.role == role).count();
    for landmark in ["main", "banner"] {
        assert_eq!(count(landmark), 1, "{page}: {landmark}");
    }
    for one in nodes.iter().filter(|node| NAMED.contains(&node.role.as_str())) {
        assert!(!one.name.trim().is_empty(), "{page}: {one:?} has no name");
    }
    for one in nodes.iter().filter(|node| node.is_invalid) {
        assert!(one.description.contains(' '), "{page}: {one:?} does not say what is wrong");
    }
    // The tree must hold every table, heading and cell: a CSS `display` can remove them.
    for (role, css) in [("table", "table"), ("columnheader", "thead th"), ("cell", "td")] {
        let shown = format!(
            "return [...document.querySelectorAll('{css}')].filter((e) => \
             !e.closest('details:not([open])')).length"
        );
        let there = browser.script(&shown).as_u64().unwrap();
        assert_eq!(u64::try_from(count(role)).unwrap(), there, "{page}: {role}");
    }
    nodes
}

/// Every control that the keyboard can reach must show its focus.
fn tab_through(browser: &crate::panel::Browser, page: &str) {
    let unseen = browser.script(
        "return [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, \
         summary')]
             .filter((field) => field.checkVisibility() && !field.disabled)
             .filter((field) => {
                 field.focus({ focusVisible: true });
                 const shown = getComputedStyle(field);
                 return document.activeElement !== field || shown.outlineStyle === 'none' || \
                 parseFloat(shown.outlineWidth) < 2;
             }).map((field) => field.outerHTML)",
    );
    assert_eq!(unseen, json!([]), "{page}: the focus is not visible");
}

#[test]
fn pages_are_accessible_to_screen_readers() {
    let browser = open_browser!();
    let cluster = PanelCluster::start(2);
    cluster.open_accounts();
    let transfer = |amount: u32| {
        format!(
            r#"{{"ops":[{{"bank":0,"op":"debit","account":"0-1","amount":{amount}}},{{"bank":1,"op":"credit","account":"1-1","amount":{amount}}}]}}"#
        )
    };
    let mut wire = cluster.banks.connect(0);
    assert!(wire.ask(&format!("EXECUTE boa {}", transfer(5_000))).starts_with("COMMITTED "));
    assert!(wire.ask(&format!("EXECUTE ruim {}", transfer(5_000_000))).starts_with("ABORTED "));
    let with_patience = transfer(700).replacen('{', r#"{"patience_ms":300000,"#, 1);
    assert!(wire.ask(&format!("PREPARE aberta {with_patience}")).starts_with("OK "));

    let pages = [
        "/",
        "/painel/contas",
        "/painel/contas/0-1",
        "/painel/historico",
        "/painel/transacoes/boa",
        "/painel/transacoes/ruim",
        "/painel/transacao",
        "/painel/caixa",
        "/painel/cliente",
        "/painel/conta",
        "/painel/pendentes",
        "/painel/auditoria",
        "/painel/demo",
        "/painel/contas/nunca-vista",
    ];
    for (lang, code, width, colours) in [("pt", "pt-BR", 1280, "light"), ("en", "en", 390, "dark")]
    {
        browser.resize(width, 900);
        let scheme = json!({"features": [{"name": "prefers-color-scheme", "value": colours}]});
        browser.devtools("Emulation.setEmulatedMedia", &scheme);
        browser.go(&cluster.url(0, &format!("/painel/idioma?para={lang}&volta=/")));
        for page in pages {
            browser.go(&cluster.url(0, page));
            let context = format!("{page} in {lang}, {width} wide");
            assert_eq!(browser.script("return document.documentElement.lang"), code, "{context}");
            check_tree(&browser, &context);
            tab_through(&browser, &context);
            browser.screenshot(&format!("screen-reader-{width}{}", page.replace('/', "-")));
            // The page must not scroll sideways.
            let wide = browser.script("return document.documentElement.scrollWidth - innerWidth");
            assert!(wide.as_i64().is_some_and(|over| over <= 0), "{context} is {wide} px too wide");
        }
    }
    // In Portuguese again. A form with errors moves the focus to the first one.
    browser.resize(1280, 1000);
    browser.go(&cluster.url(0, "/painel/idioma?para=pt&volta=/"));
    for (page, button) in [
        ("/painel/cliente", "main button"),
        ("/painel/conta", "main button"),
        ("/painel/caixa", "main form button"),
        ("/painel/transacao", "button[value=resumo]"),
    ] {
        browser.go(&cluster.url(0, page));
        browser.click(button);
        browser.wait_for(".erro", "Preencha este campo.");
        let nodes = check_tree(&browser, &format!("{page} with errors"));
        assert!(nodes.iter().any(|node| node.is_invalid), "{page}");
        let focus = browser.script("return document.activeElement.getAttribute('aria-invalid')");
        assert_eq!(focus, json!("true"), "{page}: the focus is not on the error");
    }
    // The outcome of this page's transaction is announced; events of others are not.
    browser.go(&cluster.url(0, "/painel/transacoes/aberta"));
    browser.wait_for("#ao-vivo", "ao vivo");
    assert!(wire.ask(&format!("EXECUTE outra {}", transfer(100))).starts_with("COMMITTED "));
    assert!(wire.ask("ABORT aberta").starts_with("ABORTED "));
    browser.wait_for("#detalhes", "Abortada");
    let announced = browser.script("return document.getElementById('anuncio').textContent");
    assert_eq!(announced, json!("Abortada"));
}
