//! The page «Fazer transação», in two steps: the participants, then a summary to confirm. The bank
//! executes the transaction, and the page of the transaction shows each vote.

use crate::app::App;
use crate::pages::forms::{self, BadForm, SentForm};
use crate::pages::home::banks;
use crate::pages::show::{failed, html, page};
use crate::pages::visit::{Visit, see_other};
use crate::problem::Problem;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use consorcio_core::ids::{AccountNumber, BankId, TaxId, TxId};
use consorcio_core::limits::OPS_MAX;
use consorcio_core::money::{Money, Total};
use consorcio_core::wire::request::Request;
use consorcio_core::wire::transaction::{Action, Flow, Op, Transaction};
use consorcio_panel::frame::Page;
use consorcio_panel::pages::{Summary, Transact};
use consorcio_panel::texts::Texts;
use consorcio_panel::views::{FormField, LegView, ParticipantForm};
use std::sync::Arc;

/// `GET /painel/transacao`: the form, empty or with the participants of the query.
pub(crate) async fn form(State(app): State<App>, visit: Visit) -> Response {
    let typed = TypedForm::read(&|name| visit.all(name).into_iter().map(str::to_owned).collect());
    page(typed.view(&app, &visit).await, &app, &visit)
}

/// `POST /painel/transacao`: the action of the button.
pub(crate) async fn step(State(app): State<App>, form: Result<SentForm, BadForm>) -> Response {
    let form = match form {
        Ok(form) => form,
        Err(refused) => return refused.page(&app),
    };
    match stepped(&app, &form).await {
        Ok(response) => response,
        Err(problem) => failed(&problem, &app, &form.visit),
    }
}

async fn stepped(app: &App, form: &SentForm) -> Result<Response, Problem> {
    let mut typed =
        TypedForm::read(&|name| form.all(name).into_iter().map(str::to_owned).collect());
    let visit = &form.visit;
    let pressed = form.text("passo");
    match pressed {
        "adicionar" => {
            if typed.sources.len() + 1 < OPS_MAX {
                typed.sources.push(ParticipantForm::default());
            }
            return Ok(html(StatusCode::OK, &typed.view(app, visit).await?));
        }
        "voltar" => return Ok(html(StatusCode::OK, &typed.view(app, visit).await?)),
        _ => (),
    }
    if let Some(at) = pressed.strip_prefix("remover-").and_then(|at| at.parse::<usize>().ok()) {
        if typed.sources.len() > 1 && at < typed.sources.len() {
            typed.sources.remove(at);
        }
        return Ok(html(StatusCode::OK, &typed.view(app, visit).await?));
    }
    let Some(parsed) = typed.check(app, visit.t()) else {
        return Ok(html(StatusCode::BAD_REQUEST, &typed.view(app, visit).await?));
    };
    if pressed != "confirmar" {
        return Ok(html(StatusCode::OK, &typed.summary(app, visit, &parsed).await?));
    }
    let tx = TxId::new(form.text("tx")).unwrap_or_else(|_| app.fresh_id());
    let transaction =
        Transaction::from_ops(parsed.ops(), None).map_err(|fault| Problem::bad(fault.text))?;
    app.hand_over(form.peer, Request::Execute(tx.clone(), Arc::new(transaction))).await?;
    Ok(see_other(&format!("/painel/transacoes/{tx}?novo=1")))
}

/// The form as it was typed.
struct TypedForm {
    sources: Vec<ParticipantForm>,
    destination: ParticipantForm,
    error: Option<String>,
}

/// A participant whose fields are all legal.
struct ParsedParticipant {
    bank: BankId,
    cpf: TaxId,
    number: AccountNumber,
    amount: Money,
}

/// A form whose fields are all legal; the amount of the destination is the sum.
struct ParsedForm {
    sources: Vec<ParsedParticipant>,
    destination: ParsedParticipant,
}

impl TypedForm {
    /// Reads the fields. Those of the same name are in the order of the sources.
    fn read(all: &dyn Fn(&str) -> Vec<String>) -> TypedForm {
        let [bank, cpf, number, amount] = ["banco", "cpf", "numero", "valor"].map(all);
        let rows =
            bank.len().max(cpf.len()).max(number.len()).max(amount.len()).clamp(1, OPS_MAX - 1);
        let text = |list: &[String], at: usize| list.get(at).cloned().unwrap_or_default();
        let source = |at: usize| ParticipantForm {
            bank: text(&bank, at).parse().ok(),
            cpf: FormField::of(text(&cpf, at)),
            number: FormField::of(text(&number, at)),
            amount: FormField::of(text(&amount, at)),
            ..ParticipantForm::default()
        };
        let destination = ParticipantForm {
            bank: text(&all("destino_banco"), 0).parse().ok(),
            cpf: FormField::of(text(&all("destino_cpf"), 0)),
            number: FormField::of(text(&all("destino_numero"), 0)),
            ..ParticipantForm::default()
        };
        TypedForm { sources: (0..rows).map(source).collect(), destination, error: None }
    }

    async fn view(self, app: &App, visit: &Visit) -> Result<Transact, Problem> {
        let f = visit.frame(app, Page::Transact).await?;
        let banks = banks(app, visit).await?;
        Ok(Transact {
            f,
            banks,
            sources: self.sources,
            destination: self.destination,
            error: self.error,
        })
    }

    /// Parses all fields; sets the error of each that is not legal.
    fn check(&mut self, app: &App, t: &Texts) -> Option<ParsedForm> {
        let mut total = Money::ZERO;
        let mut sources = Vec::new();
        for form in &mut self.sources {
            let amount = forms::amount(&mut form.amount, t);
            let source = participant(form, app, t, amount);
            match amount.map(|amount| total.checked_add(amount)) {
                Some(Some(sum)) => total = sum,
                Some(None) => form.amount.error = Some(t.field_amount.to_owned()),
                None => (),
            }
            sources.extend(source.filter(|_| form.amount.error.is_none()));
        }
        let destination = participant(&mut self.destination, app, t, Some(total));
        if sources.len() < self.sources.len() || destination.is_none() {
            self.error = Some(t.please_correct.to_owned());
            return None;
        }
        Some(ParsedForm { sources, destination: destination? })
    }

    async fn summary(
        self,
        app: &App,
        visit: &Visit,
        parsed: &ParsedForm,
    ) -> Result<Summary, Problem> {
        let f = visit.frame(app, Page::Transact).await?;
        let t = visit.t();
        let leg = |participant: &ParsedParticipant, what, sign: i128| LegView {
            bank: participant.bank.as_u8(),
            address: app.places().get(participant.bank.index()).cloned().unwrap_or_default(),
            what,
            on: participant.number.to_string(),
            cpf: Some(super::show::tax_id(participant.cpf.as_str())),
            amount: Some(Total(sign * participant.amount.wide())),
            value: None,
        };
        let mut legs: Vec<LegView> =
            parsed.sources.iter().map(|source| leg(source, t.source, -1)).collect();
        legs.push(leg(&parsed.destination, t.destination, 1));
        let mut fields = Vec::new();
        let mut field = |name: &str, value: String| fields.push((name.to_owned(), value));
        for (form, source) in self.sources.iter().zip(&parsed.sources) {
            field("banco", source.bank.to_string());
            field("cpf", form.cpf.value.clone());
            field("numero", form.number.value.clone());
            field("valor", form.amount.value.clone());
        }
        field("destino_banco", parsed.destination.bank.to_string());
        field("destino_cpf", self.destination.cpf.value.clone());
        field("destino_numero", self.destination.number.value.clone());
        let total = Total(parsed.destination.amount.wide());
        Ok(Summary { f, tx: app.fresh_id().to_string(), legs, total, fields })
    }
}

fn participant(
    form: &mut ParticipantForm,
    app: &App,
    t: &Texts,
    amount: Option<Money>,
) -> Option<ParsedParticipant> {
    let position = form.bank.map(usize::from);
    let known = |position: &usize| {
        app.places().get(*position).is_some_and(|address| address != consorcio_system::config::LEFT)
    };
    let bank = position.filter(known).and_then(BankId::new);
    if bank.is_none() {
        form.bank_error = Some(t.field_bank.to_owned());
    }
    let cpf = forms::cpf(&mut form.cpf, t);
    let number = forms::number(&mut form.number, t);
    Some(ParsedParticipant { bank: bank?, cpf: cpf?, number: number?, amount: amount? })
}

impl ParsedForm {
    fn ops(&self) -> Vec<Op> {
        let op = |participant: &ParsedParticipant, flow| Op {
            bank: participant.bank,
            action: Action::Money {
                flow,
                account: participant.number.clone(),
                cpf: Some(participant.cpf.clone()),
                amount: participant.amount,
            },
        };
        let sources = self.sources.iter().map(|source| op(source, Flow::Debit));
        sources.chain([op(&self.destination, Flow::Credit)]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_repetition_of_a_field_is_a_source() {
        let fields = [
            ("banco", "0"),
            ("banco", "2"),
            ("cpf", "1"),
            ("cpf", "2"),
            ("valor", "5"),
            ("destino_banco", "1"),
        ];
        let all = |name: &str| -> Vec<String> {
            fields
                .iter()
                .filter(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
                .collect()
        };
        let typed = TypedForm::read(&all);
        assert_eq!(typed.sources.len(), 2);
        assert_eq!((typed.sources[1].bank, typed.sources[1].cpf.value.as_str()), (Some(2), "2"));
        assert_eq!(
            (typed.sources[0].amount.value.as_str(), typed.sources[1].amount.value.as_str()),
            ("5", "")
        );
        assert_eq!(typed.destination.bank, Some(1));
        assert_eq!(TypedForm::read(&|_| Vec::new()).sources.len(), 1);
    }
}
