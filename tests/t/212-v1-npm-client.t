# npm's docker-registry-client, a library of the first API's time: with and without a password it finds all of an image.
use v5.36;
use Registry limit => 300;
use JSON::PP ();
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

# No failure in CI: Debian's npm brings four hundred packages along.
BEGIN {
    my @missing = grep { !find_program($_) } 'node', 'npm';
    plan(skip_all => "not installed: @missing") if @missing;
}

my $PACKAGE = 'docker-registry-client@3.4.0';
my $tmp     = tempdir();
my $npm     = run([ 'npm', 'install', '--prefix', $tmp, '--no-audit', '--no-fund', '--ignore-scripts', '--omit=optional', $PACKAGE ],
    cwd => $tmp, timeout => 180, env => { npm_config_cache => "$tmp/cache", npm_config_update_notifier => 'false' });
plan(skip_all => "npm can't install $PACKAGE: " . substr $npm->{err}, 0, 300) if $npm->{exit} || $npm->{signal};

# Does one thing after the other, and prints what came of each: { what: { error | value } }.
spew("$tmp/client.js", <<'END');
const crypto = require('crypto');
const v1 = require('docker-registry-client/lib/registry-client-v1.js');
const bunyan = require('bunyan');
const [address, scheme, name, username, password] = process.argv.slice(2);
const log = bunyan.createLogger({ name: 'test', level: 'fatal' });
const client = v1.createClient({ name: `${address}/${name}`, scheme, log, insecure: true, username, password });
const out = {};

function step(what, call) {
    return new Promise((done) => call((error, value, response) => {
        out[what] = error ? { error: error.message, status: error.statusCode } : { value, payload: response && response.headers && response.headers['x-docker-checksum-payload'] };
        done(error ? undefined : value);
    }));
}

function hash(id, stream) {
    return new Promise((done) => {
        const sum = crypto.createHash('sha256');
        let length = 0;
        stream.on('data', (piece) => { sum.update(piece); length += piece.length; });
        stream.on('end', () => done({ sha256: sum.digest('hex'), length, type: stream.headers['content-type'],
            encoding: stream.headers['content-encoding'] || 'none', announced: stream.headers['content-length'] }));
        stream.resume();
    });
}

(async () => {
    await step('ping', (f) => client.ping(f));
    await step('index', (f) => v1.pingIndex({ indexName: `${scheme}://${address}`, log, insecure: true }, f));
    await step('login', (f) => v1.login({ indexName: `${scheme}://${address}`, log, insecure: true,
        username: username || 'nobody', password: password || 'none', email: 'x@example.com' }, f));
    await step('search', (f) => client.search({ term: name }, f));
    await step('images', (f) => client.listRepoImgs(f));
    await step('tags', (f) => client.listRepoTags(f));
    const id = await step('tag', (f) => client.getImgId({ tag: 'latest' }, f));
    await step('no tag', (f) => client.getImgId({ tag: 'none' }, f));
    const chain = await step('ancestry', (f) => client.getImgAncestry({ imgId: id || 'x' }, f));
    for (const one of chain || []) {
        await step(`json ${one}`, (f) => client.getImgJson({ imgId: one }, f));
        const stream = await step(`layer ${one}`, (f) => client.getImgLayerStream({ imgId: one }, (e, s) => f(e, s)));
        out[`layer ${one}`] = stream ? { value: await hash(one, stream) } : out[`layer ${one}`];
    }
    out.token = client.token;
    client.close();
    process.stdout.write(JSON.stringify(out), () => process.exit(0));
})();
END

sub client ($port, $scheme, @more) {
    my $ran = run([ 'node', '--no-deprecation', "$tmp/client.js", "127.0.0.1:$port", $scheme, @more ], cwd => $tmp, timeout => 60);
    my $out = eval { JSON::PP->new->utf8->decode($ran->{out}) };
    return $out // do { fail("node: exit $ran->{exit}"); diag($ran->{err} . $ran->{out}); {} };
}

my @images = (image('A sent'), image('B sent'), random_image(image('B')->{id}, size => 300_000));
my $top    = $images[-1]{id};

sub check ($said, $user) {
    is($said->{ping}{value},  JSON::PP::true, 'ping');
    is($said->{index}{value}, JSON::PP::true, 'ping of the index');
    ok($said->{login}{value}{status}, 'login') or diag($said->{login}{error});
    ok((grep { $_->{name} eq 'team/app' } @{ $said->{search}{value}{results} // [] }), 'search') or diag(explain($said->{search}));
    is_deeply([ sort map { $_->{id} } @{ $said->{images}{value} // [] } ], [ sort map { $_->{id} } @images ], 'the images of a repository');
    like($said->{token}, qr/^$user\.\d+\./, '... with which a token comes');
    is_deeply($said->{tags}{value}, { latest => $top, old => $images[0]{id} }, 'its tags');
    is($said->{tag}{value}, $top, 'a tag');
    is($said->{'no tag'}{status}, 404, 'a tag that is not there');
    is_deeply($said->{ancestry}{value}, [ reverse map { $_->{id} } @images ], 'the ancestry');
    for my $image (@images) {
        my $id = substr $image->{id}, 0, 12;
        is_deeply($said->{"json $image->{id}"}{value}, JSON::PP->new->utf8->decode($image->{json}), "$id: its JSON");
        is($said->{"json $image->{id}"}{payload}, $image->{payload}, '... the sum of it and its layer');
        is_deeply($said->{"layer $image->{id}"}{value}, {
            sha256 => digest($image->{layer}) =~ s/^sha256://r, length => length $image->{layer},
            announced => length $image->{layer}, type => 'application/octet-stream', encoding => 'none',
        }, '... its layer, whole');
    }
    return;
}

sub fill ($registry, %o) {
    my $v1 = Registry::V1->new($registry->with, %o);
    for my $step ($v1->push_images('team/app', 'latest', @images), [ 'PUT tag', $v1->put_tag('team/app', 'old', $images[0]{id}), 200 ]) {
        my ($what, $response, $status) = @$step;
        $response->status == $status or return fail("$what: " . $response->describe);
    }
    return 1;
}

subtest 'without users' => sub {
    my $open = Registry->start;
    fill($open) or return;
    check(client($open->port, 'http', 'team/app'), 'anon');
    my $none = client($open->port, 'http', 'team/none');
    is($none->{$_}{status}, 404, "a repository that is not there: $_") for 'images', 'tags', 'tag', 'ancestry';
    $open->stop;
};

subtest 'with users' => sub {
    my $closed = Registry->start(args => [ '--user', 'ann:secret' ]);
    fill($closed, user => 'ann:secret') or return;
    check(client($closed->port, 'http', 'team/app', 'ann', 'secret'), 'ann');
    for my $who ([ 'a wrong password', 'ann', 'wrong' ], ['none']) {
        my ($name, @pair) = @$who;
        my $refused = client($closed->port, 'http', 'team/app', @pair);
        is($refused->{ping}{value}, JSON::PP::true, "$name: ping");
        is($refused->{$_}{status}, 401, "... not $_") for 'search', 'images', 'tags', 'tag', 'ancestry';
        like($refused->{login}{error}, qr/Wrong login/, '... no login');
    }
    $closed->stop;
};

subtest 'over TLS' => sub {
    plan skip_all => 'openssl is not installed' if !find_program('openssl');
    my ($cert, $key) = make_certificate($tmp, 'registry');
    my $server = Registry->start(listeners => 2,
        args => [ '--tls-port', '0', '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret' ]);
    my ($tls)   = grep { serial_at($_) } $server->ports;
    my ($plain) = grep { $_ != ($tls // 0) } $server->ports;
    $server->{port} = $plain;
    fill($server, user => 'ann:secret') or return;
    check(client($tls, 'https', 'team/app', 'ann', 'secret'), 'ann');
    $server->stop;
};

finish();
