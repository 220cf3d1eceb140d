# Whoever listens to /v1/events hears of everything, once and in order, also over a restart, and costs the others nothing.
use v5.36;
use Registry limit => 200;
use Registry::Checks;
use Registry::Listener;
use Registry::Process;
use Registry::Tools;
use IO::Socket::UNIX ();
use List::Util qw(max);
use Test::More;
use Time::HiRes qw(sleep time);

sub listen_to ($registry, %o) { return Registry::Listener->open($registry, %o) }

subtest 'what is told' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret');
    is_status($registry->with->get('/v1/events'), 401, 'a password is needed');
    is_status($registry->head('/v1/events'), 200, 'HEAD has its answer at once', 'Content-Type' => 'application/x-ndjson');
    my $all    = listen_to($registry);
    my $tags   = listen_to($registry, query => '?type=tag&type=untag');
    my $stream = listen_to($registry, query => '?type=tag', headers => { Accept => 'text/event-stream' });
    ok(Registry::Listener->wait_all(10, sub ($l) { $l->status }, $all, $tags, $stream), 'headers come at once');
    is($all->header('Content-Type'), 'application/x-ndjson', 'a JSON object a line');
    is($stream->header('Content-Type'), 'text/event-stream', 'or a stream for browsers');
    is($all->header('Cache-Control'), 'no-store', '... that nobody keeps');

    my $layer = random_bytes(100);
    my ($config, $manifest) = $registry->image_of([$layer]);
    is_status($registry->push_image('library/app', 'latest', [$layer]), 201, 'a push');
    ok($all->wait(10, sub ($l) { grep { $_->{type} eq 'tag' } $l->events }), 'is told');
    my @events = $all->events;
    is_deeply([ map { $_->{type} } @events ], [qw(layer image manifest tag)], '... in order');
    my ($tag) = grep { $_->{type} eq 'tag' } @events;
    is($tag->{id},         digest($config) =~ s/^sha256://r, 'the id is the config digest');
    is($tag->{tag},        'app',                            'the short name');
    is($tag->{repository}, 'library/app',                    'the whole one');
    is($tag->{digest},     digest($manifest),                'the digest');
    is($tag->{actor},      'ann',                            'who did it');
    like($tag->{time}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'when');
    my ($pushed) = grep { $_->{type} eq 'layer' } @events;
    is($pushed->{checksum}, digest($layer), 'a layer has its checksum');

    ok($stream->wait(10, sub ($l) { $l->body =~ /\n\n/ }), 'the browser hears of the tag');
    is($stream->body, "id: $tag->{seq}\nevent: tag\ndata: " . ($all->body =~ /^(\{"type":"tag".*\})$/m)[0] . "\n\n", '... as an event of a stream');

    is_status($registry->delete('/v2/library/app/manifests/latest'), 202, 'the tag is deleted');
    is_status($registry->delete('/v2/library/app/manifests/' . digest($manifest)), 202, 'the manifest is deleted');
    ok($all->wait(10, sub ($l) { grep { $_->{type} eq 'delete' } $l->events }), 'both is told');
    ok($tags->wait(10, sub ($l) { $l->events >= 2 }), 'to who wants to know of tags, too');
    is_deeply([ map { $_->{type} } $tags->events ], [qw(tag untag)], '... and of nothing else');
    for my $query ('type=nonsense', 'type=tag&type=index', 'type=') {
        my $wrong = $registry->get("/v1/events?$query");
        is_status($wrong, 400, "$query is refused");
        my ($types) = $wrong->content =~ /type must be one of ([a-z, ]+)/;
        is_deeply([ split /, /, $types // '' ], [qw(image layer verify tag untag manifest delete damage)], '... with the types');
    }
    is_status($registry->head("/v1/events?type=$_"), 200, "$_ is a type") for qw(image layer verify tag untag manifest delete damage);
    is_status($registry->get('/v1/events?since=x'), 400, 'since is a number');
    is_status($registry->put('/v1/events', body => ''), 405, 'nobody tells us events');
    is_status($registry->get('/_registry_main/events/ndjson/255/new'), 404, 'the way inside is closed');
    my $started = time;
    $registry->stop;
    cmp_ok(time - $started, '<', 5, 'listeners hold up no stop');
    ok(Registry::Listener->wait_all(5, sub ($l) { $l->over }, $all, $tags, $stream), 'and are sent away');
};

sub has_heard ($listener, $tag) {
    return scalar grep { $_->{tag} eq $tag } $listener->events;
}

subtest 'since' => sub {
    my $registry = Registry->start;
    my ($config, $manifest) = $registry->push_parts('a/b');
    ok(defined $registry->push_tags('a/b', $manifest, map { "t$_" } 1 .. 40), 'forty tags');
    my $all = listen_to($registry, query => '?since=0&type=tag');
    ok($all->wait(10, sub ($l) { $l->events >= 40 }), 'since=0: all from the beginning');
    my @seqs = $all->seqs;
    is_deeply([ map { $_->{tag} } $all->events ], [ map { "a/b:t$_" } 1 .. 40 ], '... in order');

    my $some = listen_to($registry, query => "?since=$seqs[29]&type=tag");
    my $same = listen_to($registry, query => '?since=1&type=tag', headers => { 'Last-Event-ID' => $seqs[29] });
    ok(Registry::Listener->wait_all(10, sub ($l) { $l->events >= 10 }, $some, $same), 'behind an event');
    is_deeply([ $some->seqs ], [ @seqs[ 30 .. 39 ] ], '... all that came behind it');
    is_deeply([ $same->seqs ], [ @seqs[ 30 .. 39 ] ], 'Last-Event-ID does the same, and comes first');
    is_status($registry->get('/v1/events?since=4000000000'), 410, 'an event that there never was');
    is_status($registry->get('/v1/events?since=99999999999999999999'), 400, 'no number of anything');

    # Over a restart, a killed herald, a recovery, and everything killed.
    $registry->stop;
    $registry = Registry->start(dir => $registry->dir, expected => qr/signal=9|recovering|signal 9|upstream/);
    my @heard = @seqs[ 0 .. 39 ];
    my $n     = 40;
    for my $what ('a restart', 'the herald', 'the keeper', 'the database', 'all') {
        $registry->push_tags('a/b', $manifest, map { "u$n$_" } 1 .. 5);
        if    ($what eq 'the herald')   { kill 'KILL', $registry->children('herald') }
        elsif ($what eq 'the keeper')   { kill 'KILL', $registry->children('keeper') }
        elsif ($what eq 'the database') { kill 'KILL', $registry->children('worker'), $registry->children('keeper') }
        elsif ($what eq 'all') {
            $registry->crash;
            wait_for(10, sub { !$registry->processes });
            $registry = Registry->start(dir => $registry->dir, expected => qr/signal=9|recovering|signal 9|upstream/);
        }
        ok(wait_for(20, sub { ($registry->get('/healthz')->status // 0) == 200 && $registry->children('herald') }), "$what: it serves");
        # What was let in before a recovery began is sent away by it, and comes again.
        my ($again, $pushed);
        my $goes_on = wait_for(40, sub {
            $again->close if $again;
            $again = listen_to($registry, query => "?since=$heard[-1]&type=tag");
            $pushed ||= wait_for(10, sub { $registry->push_image('c/d', "v$n", [ random_bytes(10) ])->status == 201 });
            return $again->wait(5, sub ($l) { has_heard($l, "c/d:v$n") });
        });
        ok($goes_on, "$what: the listener goes on");
        push @heard, $again->seqs;
        $n += 6;
        $again->close;
    }
    # A push whose answer was lost was repeated, and is an event more.
    ok(defined $registry->push_tags('a/b', $manifest, 'end'), 'a last tag');
    my $rest  = listen_to($registry, query => "?since=$heard[-1]&type=tag");
    my $whole = listen_to($registry, query => '?since=0&type=tag');
    ok(Registry::Listener->wait_all(20, sub ($l) { has_heard($l, 'a/b:end') }, $rest, $whole), 'all of it again');
    push @heard, $rest->seqs;
    cmp_ok(scalar @heard, '>', $n, '... each tag that was put');
    is_deeply(\@heard, [ $whole->seqs ], 'who came again with since heard each event once');
};

subtest 'two hundred listeners' => sub {
    my $registry = Registry->start;
    my ($config, $manifest) = $registry->push_parts('a/b');
    my $early = listen_to($registry, query => '?type=tag');
    ok($early->wait(30, sub ($l) { $l->status == 200 }), 'one is early');
    my $alone = $registry->push_tags('a/b', $manifest, map { "a$_" } 1 .. 100);
    ok($early->wait(30, sub ($l) { $l->events >= 100 }), 'a hundred tags are told before the others come');
    $early->close;
    my @listeners = map { listen_to($registry, query => '?type=tag' . ($_ % 2 ? '&since=0' : '')) } 1 .. 200;
    ok(Registry::Listener->wait_all(30, sub ($l) { $l->status == 200 }, @listeners), 'are let in');
    my ($herald) = $registry->children('herald');
    my @pushed = in_parallel(4, 60, sub ($i) { $registry->push_tags("a/b", $manifest, map { "b$i-$_" } 1 .. 50) });
    is(scalar(grep { defined } @pushed), 4, 'pushes go on');
    cmp_ok(max(map { $_ // 99 } @pushed), '<', 5, '... and none is held up');
    my @odd  = @listeners[ grep { $_ % 2 == 0 } 0 .. 199 ];    # these asked from the beginning
    my @even = @listeners[ grep { $_ % 2 == 1 } 0 .. 199 ];
    ok(Registry::Listener->wait_all(60, sub ($l) { $l->events >= 300 }, @odd),  'who asked for all hears of 300 tags');
    ok(Registry::Listener->wait_all(60, sub ($l) { $l->events >= 200 }, @even), 'who came later of 200');
    my @first = $odd[0]->seqs;
    my @wrong = grep { join(' ', $_->seqs) ne join(' ', @first) } @odd;
    push @wrong, grep { join(' ', $_->seqs) ne join(' ', @first[ 100 .. 299 ]) } @even;
    is(scalar @wrong, 0, 'each of them, once and in order');
    cmp_ok(memory_peak_kb($herald), '<', Registry->sanitized ? 400_000 : 40_000, 'in little memory');
    $_->close for @listeners;
};

subtest 'more than the newest thousand' => sub {
    my $registry = Registry->start;
    my ($config, $manifest) = $registry->push_parts('a/b');
    my @pushed = in_parallel(4, 60, sub ($i) { $registry->push_tags('a/b', $manifest, map { "b$i-$_" } 1 .. 300) });
    is(scalar(grep { defined } @pushed), 4, '1200 tags');
    my @listeners = map { listen_to($registry, query => '?since=0') } 1 .. 10;
    ok(Registry::Listener->wait_all(60, sub ($l) { grep({ $_->{type} eq 'tag' } $l->events) >= 1200 }, @listeners), 'come from the disk');
    my @seqs = $listeners[0]->seqs;
    is_deeply(\@seqs, [ sort { $a <=> $b } @seqs ], '... in order');
    is(scalar(grep { join(' ', $_->seqs) ne "@seqs" } @listeners), 0, '... to each of them');
};

subtest 'one who does not read' => sub {
    my $registry = Registry->start;
    my ($config, $manifest) = $registry->push_parts('a/b');
    my $herald_socket = $registry->dir . '/run/herald.sock';
    my $asleep = IO::Socket::UNIX->new(Peer => $herald_socket) or die "connect: $!";
    syswrite $asleep, "GET /events/ndjson/255/0/x/- HTTP/1.0\r\n\r\n";
    my $mute = IO::Socket::UNIX->new(Peer => $herald_socket) or die "connect: $!";    # not even asks
    my $awake = listen_to($registry, query => '?since=0&type=tag');
    my ($herald) = $registry->children('herald');
    my $name = join '/', ('n' x 60) x 4;
    $registry->push_parts($name);
    $registry->push_blob($name, $config);
    $registry->post("/v2/$name/blobs/uploads/?mount=$_->{digest}&from=a/b", body => '')
        for @{ JSON::PP->new->decode($manifest)->{layers} };
    my @pushed = in_parallel(4, 60, sub ($i) { $registry->push_tags($name, $manifest, map { 't' x 100 . "$i-$_" } 1 .. 150) });
    is(scalar(grep { defined } @pushed), 4, '600 tags with long names are pushed');
    ok($awake->wait(30, sub ($l) { $l->events >= 600 }), 'who reads hears of them');
    cmp_ok(listeners_of($herald), '>', 1, 'who does not is still there');
    ok(wait_for(40, sub { listeners_of($herald) == 1 }), '... and is sent away');
    cmp_ok(memory_peak_kb($herald), '<', Registry->sanitized ? 400_000 : 40_000, '... and costs little memory until then');
    ok($awake->status == 200 && !$awake->over, 'the other one stays');
};

# How many connections the herald has accepted on its socket.
sub listeners_of ($herald) {
    my %of = map { (readlink("/proc/$herald/fd/$_") // '') =~ /^socket:\[(\d+)\]/ ? ($1 => 1) : () } 0 .. 63;
    open my $unix, '<', '/proc/net/unix' or die "/proc/net/unix: $!";
    return scalar grep { my @f = split; ($f[7] // '') eq 'run/herald.sock' && $f[5] eq '03' && $of{ $f[6] } } <$unix>;
}

subtest 'what was trimmed' => sub {
    my $registry = Registry->start(args => [ '--event-keep', '1s' ]);
    my ($config, $manifest) = $registry->push_parts('a/b');
    $registry->push_tags('a/b', $manifest, 'one');
    ok(wait_for(20, sub { $registry->head('/v1/events?since=0')->status == 410 }), 'is 410');
    my $response = $registry->get('/v1/events?since=0');
    my $oldest   = $response->json->{oldest};
    cmp_ok($oldest, '>', 1, '... with where to begin');
    like($response->json->{error}, qr/\w/, '... and why');
    my $on = listen_to($registry, query => '?since=' . ($oldest - 1) . '&type=tag');
    ok($on->wait(5, sub ($l) { $l->status == 200 }), 'there one may go on');
    $registry->push_tags('a/b', $manifest, 'two');
    ok($on->wait(10, sub ($l) { grep { $_->{tag} eq 'a/b:two' } $l->events }), '... and hears');
};

subtest 'a silent time' => sub {
    my $registry = Registry->start;
    my $lines    = listen_to($registry);
    my $stream   = listen_to($registry, headers => { Accept => 'text/event-stream' });
    ok(Registry::Listener->wait_all(25, sub ($l) { length $l->body }, $lines, $stream), 'has its heartbeats');
    is($lines->body,  "\n",     'an empty line');
    is($stream->body, ":\n\n", 'a comment');
};

subtest 'too many listeners' => sub {
    my $registry = Registry->start;
    my $path     = $registry->dir . '/run/herald.sock';
    my @many     = map { IO::Socket::UNIX->new(Peer => $path) // () } 1 .. 1000;
    is(scalar @many, 1000, 'a thousand');
    syswrite $many[$_], 'GET /events/ndjson/255/new/owner' . $_ % 10 . "/- HTTP/1.0\r\n\r\n" for 0 .. $#many;
    ok(wait_for(10, sub { my $n = 0; for my $s (@many) { my $r = ''; vec($r, fileno $s, 1) = 1; $n += select($r, undef, undef, 0) } $n == 1000 }), '... are served');
    my $response = $registry->get('/v1/events');
    is_v1_error($response, 503, 'one more is refused');
    like($response->header('Retry-After') // '', qr/^\d+$/, '... for now');
    close pop @many;
    my $then = listen_to($registry);
    ok($then->wait(10, sub ($l) { $l->status == 200 }), 'as soon as one leaves, there is a place');
};

# The status that each of them gets.
sub statuses (@listeners) {
    Registry::Listener->wait_all(20, sub ($l) { $l->status }, @listeners) or return 'no answer';
    my %n;
    $n{ $_->status }++ for @listeners;
    return join ' ', map { "$_: $n{$_}" } sort keys %n;
}

subtest 'one user, or one address, takes only a part of the places' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret', '--user', 'bob:secret' ], user => 'ann:secret');
    my @ann = map { listen_to($registry) } 1 .. 255;
    is(statuses(@ann), '200: 250 429: 5', 'a user');
    my $response = $registry->get('/v1/events');
    is_v1_error($response, 429, 'one more is refused');
    like($response->header('Retry-After') // '', qr/^\d+$/, '... for now');
    is(statuses(listen_to($registry->with(user => 'bob:secret'))), '200: 1', 'another user is let in');
    $_->close for splice @ann, 0, 10;
    ok(wait_for(10, sub { statuses(listen_to($registry)) eq '200: 1' }), 'as soon as one leaves, there is a place');
    my $open = Registry->start;
    my @many = map { listen_to($open) } 1 .. 255;
    is(statuses(@many), '200: 250 429: 5', 'an address');
};

finish();
