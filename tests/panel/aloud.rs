//! What Chromium tells a screen reader of each page, wide and narrow, in both languages, with and
//! without errors.

use crate::panel::PanelCluster;
use crate::panel::open_browser;
use serde_json::{Value, json};

/// Roles that people press, fill in or look at: each needs a name.
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

/// What a reader is told of one thing.
#[derive(Debug)]
struct SpokenNode {
    role: String,
    name: String,
    description: String,
    is_invalid: bool,
}

impl SpokenNode {
    fn of(node: &Value) -> Option<SpokenNode> {
        if node["ignored"] == true {
            return None;
        }
        let text = |value: &Value| value["value"].as_str().unwrap_or("").to_owned();
        let properties = node["properties"].as_array().map_or(&[][..], Vec::as_slice);
        let invalid = properties.iter().find(|property| property["name"] == "invalid");
        Some(SpokenNode {
            role: text(&node["role"]),
            name: text(&node["name"]),
            description: text(&node["description"]),
            is_invalid: invalid.is_some_and(|property| property["value"]["value"] == "true"),
        })
    }
}

/// Checks the page that the window shows, and tells it.
#[track_caller]
fn listen(browser: &crate::panel::Browser, page: &str) -> Vec<SpokenNode> {
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
    let spoken: Vec<SpokenNode> =
        tree["nodes"].as_array().unwrap().iter().filter_map(SpokenNode::of).collect();
    let count = |role: &str| spoken.iter().filter(|spoken| spoken.role == role).count();
    for landmark in ["main", "banner"] {
        assert_eq!(count(landmark), 1, "{page}: {landmark}");
    }
    for one in spoken.iter().filter(|spoken| NAMED.contains(&spoken.role.as_str())) {
        assert!(!one.name.trim().is_empty(), "{page}: {one:?} has no name");
    }
    for one in spoken.iter().filter(|spoken| spoken.is_invalid) {
        assert!(one.description.contains(' '), "{page}: {one:?} does not say what is wrong");
    }
    // As many tables, rows and cells as there are: `display` takes them away where nobody takes
    // care.
    for (role, css) in [("table", "table"), ("columnheader", "thead th"), ("cell", "td")] {
        let shown = format!(
            "return [...document.querySelectorAll('{css}')].filter((e) => \
             !e.closest('details:not([open])')).length"
        );
        let there = browser.script(&shown).as_u64().unwrap();
        assert_eq!(u64::try_from(count(role)).unwrap(), there, "{page}: {role}");
    }
    spoken
}

/// Each thing that the keyboard reaches shows that it is reached.
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
    assert_eq!(unseen, json!([]), "{page}: the focus is not seen");
}

#[test]
fn a_screen_reader_is_told_all_of_it() {
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
    let patient = transfer(700).replacen('{', r#"{"patience_ms":300000,"#, 1);
    assert!(wire.ask(&format!("PREPARE aberta {patient}")).starts_with("OK "));

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
            let told = format!("{page} in {lang}, {width} wide");
            assert_eq!(browser.script("return document.documentElement.lang"), code, "{told}");
            listen(&browser, &told);
            tab_through(&browser, &told);
            browser.shot(&format!("aloud-{width}{}", page.replace('/', "-")));
            // Nothing is cut off at the right.
            let wide = browser.script("return document.documentElement.scrollWidth - innerWidth");
            assert!(wide.as_i64().is_some_and(|over| over <= 0), "{told} is {wide} px too wide");
        }
    }
    // The rest in Portuguese again. A form that comes back leads the reader to what is wrong.
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
        let spoken = listen(&browser, &format!("{page} with errors"));
        assert!(spoken.iter().any(|spoken| spoken.is_invalid), "{page}");
        let focus = browser.script("return document.activeElement.getAttribute('aria-invalid')");
        assert_eq!(focus, json!("true"), "{page}: the focus stays away from the error");
    }
    // An outcome that was waited for is read out once it is there; what goes on elsewhere is not.
    browser.go(&cluster.url(0, "/painel/transacoes/aberta"));
    browser.wait_for("#ao-vivo", "ao vivo");
    assert!(wire.ask(&format!("EXECUTE outra {}", transfer(100))).starts_with("COMMITTED "));
    assert!(wire.ask("ABORT aberta").starts_with("ABORTED "));
    browser.wait_for("#detalhes", "Abortada");
    let said = browser.script("return document.getElementById('anuncio').textContent");
    assert_eq!(said, json!("Abortada"));
}
