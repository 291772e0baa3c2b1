//! What a bank says to its operator: its start and end, links, doubts, its disk.

use super::Table;

#[rustfmt::skip]
pub(super) const SENTENCES: Table = &[
    // The start and the end.
    ("bank {bank} ready on {address} ({places} places, key {key}, data {data}{new})",
     "banco {bank} pronto em {address} ({places} lugares, chave {key}, dados {data}{new})"),
    (", new", ", novos"),
    (", new, over TLS", ", novos, por TLS"),
    (", over TLS", ", por TLS"),
    ("bank {bank} serves {scheme}://{address}/", "banco {bank} atende em {scheme}://{address}/"),
    ("servidor {version} bank {bank} of {consortium}",
     "servidor {version}, banco {bank} de {consortium}"),
    ("{line} starts", "{line} começa"),
    ("settings of {file}", "configurações de {file}"),
    ("recovered {recovered}; {undecided} undecided",
     "recuperados {recovered}; {undecided} pendentes"),
    ("{signal}: what was asked is answered, then this bank ends",
     "{signal}: o que foi pedido é respondido, e depois este banco termina"),
    ("{name} again: this bank ends at once", "{name} de novo: este banco termina já"),
    ("an orderly end did not come in time: this bank ends",
     "o fim em ordem não veio a tempo: este banco termina"),
    ("some sessions did not end in time, they are cut off",
     "algumas sessões não terminaram a tempo e foram cortadas"),
    ("the data disk does not finish a sync; what was not acknowledged may not be on it",
     "o disco dos dados não termina uma gravação; o que não foi confirmado pode não estar nele"),
    ("the start is refused: {why}", "o início é recusado: {why}"),
    ("no connection can be accepted for now: {error}",
     "nenhuma conexão pode ser aceita por ora: {error}"),
    ("bank {bank} takes part now: the others have met it",
     "o banco {bank} toma parte agora: os outros o encontraram"),
    ("bank {bank} has a new journal, so it works alone until it has met bank {unmet}; \
      --introduce-without N leaves out one that is down",
     "o banco {bank} tem um diário novo, e trabalha sozinho até encontrar o banco {unmet}; \
      --introduce-without N deixa de lado um que está parado"),
    // Clients, doubts, the disk, the step log.
    ("a client connects from {client} for the first time",
     "um cliente conecta de {client} pela primeira vez"),
    ("clients connect from more addresses; further ones are not reported",
     "clientes conectam de mais endereços; os próximos não são avisados"),
    ("transaction {tx} has been in doubt for {} s{more}; cliente doubt shows which bank it waits \
      for",
     "a transação {tx} está em dúvida há {} s{more}; cliente duvidas mostra que banco ela espera"),
    (", and {more} more are", ", e mais {more} também"),
    ("every transaction is decided again", "todas as transações estão decididas de novo"),
    ("the data disk has not finished a sync for {} s; nothing is acknowledged meanwhile",
     "o disco dos dados não termina uma gravação há {} s; nada é confirmado enquanto isso"),
    ("the data disk syncs again, after more than {} s",
     "o disco dos dados grava de novo, após mais de {} s"),
    ("the step log is not written: its disk, or the reader of its pipe, hangs; steps are dropped \
      and counted until it is written again, and the bank goes on",
     "o log de passos não é gravado: o seu disco, ou quem lê o seu pipe, está parado; passos são \
      descartados e contados até ele ser gravado de novo, e o banco segue"),
    ("the kernel queues {somaxconn} connections and not {LISTEN_BACKLOG}: of a larger burst some \
      wait a second; sysctl net.core.somaxconn={LISTEN_BACKLOG} allows all",
     "o kernel enfileira {somaxconn} conexões e não {LISTEN_BACKLOG}: de uma rajada maior algumas \
      esperam um segundo; sysctl net.core.somaxconn={LISTEN_BACKLOG} permite todas"),
    ("what the journal holds of {id} can't be read, so this bank does not vote on it: {error} \
      ({unreported} more requests met such an id since the last line)",
     "o que o diário guarda de {id} não pode ser lido, e este banco não vota nela: {error} (mais \
      {unreported} pedidos encontraram um identificador assim desde a última linha)"),
    ("an id", "um identificador"),
    ("the journal failed, this bank stops: {0}", "o diário falhou, este banco para: {0}"),
    ("this bank must not work any more: {0}", "este banco não deve mais trabalhar: {0}"),
    ("{what}: it forgot a promise (restored from an old copy, or wiped while its key lived on). \
      Put its newest journal back, or found a new consortium with a new key",
     "{what}: ele esqueceu uma promessa (veio de uma cópia antiga, ou foi apagado e a chave \
      ficou). Ponha de volta o diário mais novo, ou funde um consórcio novo com outra chave"),
    ("this bank was shown its own valid vote on {tx} of {}, which its journal does not hold",
     "mostraram a este banco o seu próprio voto válido na transação {tx}, de {}, que o diário não \
      tem"),
    ("bank {} met this bank with another journal, {}, and this one is {own}: what was promised \
      there is forgotten here. Put the lost journal back, or found a new consortium with a new key",
     "o banco {} encontrou este banco com outro diário, {}, e este é {own}: o que foi prometido \
      ali foi esquecido aqui. Ponha de volta o diário perdido, ou funde um consórcio novo com \
      outra chave"),
    ("{others} lines could not be written here", "{others} linhas não puderam ser escritas aqui"),
    ("{steps} steps could not be shown here", "{steps} passos não puderam ser mostrados aqui"),
    // Clocks.
    ("the wall clock is followed", "o relógio da máquina é seguido"),
    ("the wall clock is not set: it shows a date before this version was released",
     "o relógio da máquina não está acertado: mostra uma data anterior a esta versão"),
    ("the wall clock jumped {} ahead of this bank's; it is caught up at an hour a minute",
     "o relógio da máquina saltou {} adiante do deste banco; ele o alcança a uma hora por minuto"),
    ("the wall clock jumped {} ahead of this bank's, and is not followed until a restart",
     "o relógio da máquina saltou {} adiante do deste banco, e não é seguido até um reinício"),
    ("commit times are {} ahead of its wall clock",
     "os tempos das transações estão {} adiante do relógio da máquina"),
    ("its wall clock jumped {} ahead of commit times; {then}",
     "o relógio da máquina saltou {} adiante dos tempos das transações; {then}"),
    ("that is not followed until a restart", "isso não é seguido até um reinício"),
    ("it is caught up at an hour a minute", "ele é alcançado a uma hora por minuto"),
    ("this machine's clock shows {}, but the newest time in this bank's journal is {} (the latest \
      believed is {}): set the clock, or give --accept-clock if it is right",
     "o relógio desta máquina mostra {}, mas o tempo mais novo no diário deste banco é {} (o mais \
      tarde aceito é {}): acerte o relógio, ou dê --accept-clock se ele está certo"),
    ("this machine's clock shows {}, later than any that a new bank of this version is started by \
      (the latest believed is {}): set the clock, or give --accept-clock if it is right",
     "o relógio desta máquina mostra {}, mais tarde do que qualquer um com que um banco novo \
      desta versão é iniciado (o mais tarde aceito é {}): acerte o relógio, ou dê --accept-clock \
      se ele está certo"),
    // Links between banks.
    ("bank {bank} is up: the link to it is open",
     "o banco {bank} está no ar: a ligação com ele está aberta"),
    ("bank {bank} is down: {why}", "o banco {bank} está fora do ar: {why}"),
    ("bank {bank} can't be reached: {why}", "o banco {bank} não pode ser alcançado: {why}"),
    ("bank {} has {ANOTHER_KEY} ({why})", "o banco {} tem {ANOTHER_KEY} ({why})"),
    ("another key", "outra chave"),
    ("bank {bank} has {ANOTHER_KEY}: {shown}, and bank {} has {ours}",
     "o banco {bank} tem {ANOTHER_KEY}: {shown}, e o banco {} tem {ours}"),
    ("the wall clock of bank {bank} is {} {side} this bank's",
     "o relógio do banco {bank} está {} {side} o deste banco"),
    ("ahead of", "adiante, contra"),
    ("behind", "atrás, contra"),
    ("{address}: nobody listens", "{address}: ninguém escuta ali"),
    ("it closed the connection", "fechou a conexão"),
    ("it has left the consortium", "saiu do consórcio"),
    ("this bank stops", "este banco para"),
    ("what it answers proves nothing", "o que responde não prova nada"),
    ("silent for {} ms", "calado há {} ms"),
    ("{what} did not come within {} ms", "{what} não veio em {} ms"),
    ("a connection to {address}", "uma conexão com {address}"),
    ("the answer to its first line", "a resposta à primeira linha"),
    ("the answer to its proof", "a resposta à prova"),
    ("it refuses: {why}", "recusa: {why}"),
    ("it answers the hello with {}", "responde à saudação com {}"),
    ("it answers the hello with no reply: {fault}",
     "responde à saudação com o que não é uma resposta: {fault}"),
    ("not an answer: {error}", "não é uma resposta: {error}"),
    ("not an answer: {fault}", "não é uma resposta: {fault}"),
    ("an answer to nothing: {}", "uma resposta a nada: {}"),
    ("an answer out of order: {}", "uma resposta fora de ordem: {}"),
    ("not the answer: {}", "não é a resposta: {}"),
    ("a link begins with {bank, places, to, key, nonce, founding}",
     "uma ligação começa com {bank, places, to, key, nonce, founding}"),
    ("no proof of the consortium's key for this link",
     "nenhuma prova da chave do consórcio para esta ligação"),
    ("this is bank {}, not {}", "este é o banco {}, não o {}"),
    ("there is bank {}, not {}", "ali está o banco {}, não o {}"),
    ("it takes this bank for {}", "toma este banco por {}"),
    ("no nonce", "nenhum nonce"),
    ("the nonce is not 64 hex digits", "o nonce não tem 64 dígitos hexadecimais"),
    ("the founding id is not 32 hex digits",
     "o identificador de fundação não tem 32 dígitos hexadecimais"),
    ("not what a bank tells here: {error}", "não é o que um banco diz aqui: {error}"),
    ("it has not proved that it has the consortium's key",
     "não provou que tem a chave do consórcio"),
    ("bank {bank} has another journal, {now}, than the one that this bank has met, {met}: it has \
      forgotten what it promised",
     "o banco {bank} tem outro diário, {now}, que não é o que este banco encontrou, {met}: ele \
      esqueceu o que prometeu"),
    ("both sides are bank {bank}", "os dois lados são o banco {bank}"),
    ("bank {bank} is not in its own list of {places} places",
     "o banco {bank} não está na sua própria lista de {places} lugares"),
    ("bank {bank} has left the consortium", "o banco {bank} saiu do consórcio"),
    ("bank {bank} is not in bank {of}'s list of {places} places: restart bank {of} with the \
      longer list",
     "o banco {bank} não está na lista do banco {of}, de {places} lugares: reinicie o banco {of} \
      com a lista mais longa"),
    // Traces of OpenTelemetry.
    ("{variable} is set and --log-steps is off: traces are made of steps, there are none",
     "{variable} está definida e --log-steps está off: traces são feitos de passos, e não há \
      nenhum"),
    ("spans are exported as {variable} says", "spans são exportados como {variable} diz"),
    ("the collector is slow: {steps} steps and {transactions} transactions are in no trace",
     "o coletor está lento: {steps} passos e {transactions} transações não estão em trace nenhum"),
    ("spans can be exported again", "spans podem ser exportados de novo"),
    ("{spans} spans could not be exported: {error}; spans are dropped until it can be again",
     "{spans} spans não puderam ser exportados: {error}; spans são descartados até ser possível \
      de novo"),
    ("{uri}: only http:// is spoken here; put a collector nearby",
     "{uri}: aqui só se fala http://; ponha um coletor por perto"),
    ("the collector's address names no host", "o endereço do coletor não nomeia uma máquina"),
];
