# The web page finds files in all images, and shows the packages of an image and what changed of them and of the files.
use v5.36;
use utf8;
use Registry limit => 120;
use Encode qw(encode_utf8);
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::People;
use Registry::Tools;
use Test::More;

BEGIN { need('chromium', 'chromedriver') }
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

my ($registry, $ann) = start_with_people();
my $browser  = Registry::Browser->start;
my $page     = 'http://127.0.0.1:' . $registry->port . '/ui';

sub is_at ($path, $name) { return is($browser->url =~ s/^\Q$page\E//r, $path, $name) }
sub sees_link ($text, $name) { return ok($browser->sees('.results a', $text), $name) || diag($browser->text('main')) }
sub is_indexed ($repository, $ref) { return is_status($ann->get("/v2/$repository/_image/$ref/tree"), 200, "$repository $ref is indexed") }

sub log_in ($user, $password) {
    $browser->go("$page/_login");
    $browser->type('input[name=user]',     $user);
    $browser->type('input[name=password]', "$password\{Enter}");
    ok($browser->sees('.user', $user), "$user is logged in");
    return;
}

# What a search for files says at its end, and how many it shows.
sub found ($q) {
    $browser->go("$page/_search?q=" . $q =~ s/([^\w.])/sprintf '%%%02X', ord $1/ger);
    $browser->sees('.results [role=status]', 'image');
    return [ map { s/\s+/ /gr } $browser->texts('.results li:has(a[href*="/files/"])') ];
}
sub summary () { return join ' ', grep { /image/ } $browser->texts('.results [role=status]') }

# How many results each part has.
sub parts ($q) {
    $browser->go("$page/_search?q=" . $q =~ s/([^\w.])/sprintf '%%%02X', ord $1/ger);
    wait_for(15, sub { my @now = $browser->texts('.results h2'); @now && !grep { /searching/ } @now }) or diag($browser->text('main'));
    return join ', ', map { s/\s+/ /gr } $browser->texts('.results h2');
}

sub dpkg (%versions) {
    return join '', map { "Package: $_\nStatus: install ok installed\nArchitecture: amd64\nVersion: $versions{$_}\nSource: src-$_\n\n" } sort keys %versions;
}
sub status ($data) { return { name => 'var/lib/dpkg/status', data => $data } }

my $old = gzip_layer(tar_of('d etc/', 'f etc/motd hello', 'd opt/', 'f opt/log4j-core-2.14.1.jar x', status(dpkg(bash => '5.1', libc6 => '2.36', zlib1g => '1:1.2'))));
my $new = gzip_layer(tar_of('f opt/.wh.log4j-core-2.14.1.jar ', 'f opt/log4j-core-2.17.0.jar x', status(dpkg(bash => '5.2', curl => '8', zlib1g => '1:1.2'))));
push_layers($ann, 'team/app',    '1.0', $old);
push_layers($ann, 'team/app',    '2.0', $old, $new);
push_layers($ann, 'secret/x',    'v1',  $old);
push_layers($ann, 'public/tool', 'v1',  gzip_layer(tar_of('d etc/', 'f etc/motd public')));
is_indexed(@$_) for [ 'team/app', '1.0' ], [ 'team/app', '2.0' ], [ 'secret/x', 'v1' ], [ 'public/tool', 'v1' ];

subtest 'files in what everybody may pull' => sub {
    is_deeply(found('motd'), ['/etc/motd in public/tool:v1 linux/amd64 6 B'], 'without a login');
    is(summary(), '1 in 1 image', '... of one image');
};

subtest 'files in what a user may pull' => sub {
    log_in('bob', 'second');
    is_deeply(found('log4j-core-2.14.1.jar'), ['/opt/log4j-core-2.14.1.jar in team/app:1.0 linux/amd64 1 B'], 'where no layer removes it, and not where he has no right');
    log_in('ann', 'secret');
    is_deeply([ sort @{ found('log4j-core-*.jar') } ], [ '/opt/log4j-core-2.14.1.jar in secret/x:v1 linux/amd64 1 B', '/opt/log4j-core-2.14.1.jar in team/app:1.0 linux/amd64 1 B',
        '/opt/log4j-core-2.17.0.jar in team/app:2.0 linux/amd64 1 B' ], 'a pattern, for somebody with all rights');
    is_deeply(found('log4j'), [], 'a name has to be exact');
    is(summary(), 'none in 4 images', '... and none is');
    $browser->click('a.button', 'Files with it in their name');
    sees_link('log4j-core-2.17.0.jar', 'but a part of it can be asked for');
    is_at('/_search?q=*log4j*', '... as a pattern');
    $browser->type('.top-search input', '/etc/motd{Enter}');
    sees_link('/etc/motd', 'a path, from the field of any screen');
    $browser->click('.results a', 'public/tool:v1');
    ok($browser->sees('h1', 'public/tool'), 'the image');
    $browser->back;
    $browser->click('.results a', '/etc/motd');
    ok($browser->sees('.pane .code'), 'the file');
    is_deeply(found('['), [], 'an odd pattern');
    is(summary(), 'none in 4 images', '... finds nothing');
    is(parts('/'), 'Repositories 3', 'a slash is no pattern of files');
    my $digest = $ann->head('/v2/team/app/manifests/2.0')->header('Docker-Content-Digest');
    my $image  = 'team/app' . substr $digest, 7, 12;
    for my $q ($digest, substr($digest, 7), "team/app\@$digest") {
        is(parts($q) =~ s/ in .*//r, 'Digest 1', "a digest: $q");
        is(join(' ', map { s/\s+//gr } $browser->texts('.results li')), $image, '... which is found');
    }
    for my $q (substr($digest, 0, 19), substr $digest, 7, 12) {
        is(parts($q) =~ s/ in .*//r, 'Digest 1', "its first digits: $q");
        is(join(' ', map { s/\s+//gr } $browser->texts('.results li')), $image =~ s/app/app:2.0/r, '... which is found');
    }
    $browser->go("$page/_search?q=" . 'x' x 600);
    ok($browser->sees('.results .state.error', 'longer than 255 bytes'), 'one that is too long') or diag($browser->text('main'));
};

subtest 'an index' => sub {
    my @images = map {
        my ($arch, $content) = @$_;
        my $digest = push_layers($ann, 'team/both', "tmp-$arch", gzip_layer(tar_of("f the-file $content")));
        is_indexed('team/both', $digest);
        is_status($ann->delete("/v2/team/both/manifests/tmp-$arch"), 202, "$arch has no tag of its own");
        { mediaType => $Registry::Client::TYPE{manifest}, digest => $digest, size => length $ann->get("/v2/team/both/manifests/$digest")->content, platform => { os => 'linux', architecture => $arch } };
    } [ amd64 => 'first' ], [ arm64 => 'second' ];
    is_status($ann->put_manifest('team/both', 'v1', json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@images })), 201, 'two platforms');
    is_deeply([ sort @{ found('the-file') } ], [ map { "/the-file in team/both:v1 linux/amd64 $_ B" } 5, 6 ], 'both have the file, with the platforms of their configurations');
    $browser->click("a[href*='$images[1]{digest}']");
    ok($browser->sees('.pane .code', 'second'), 'each leads to its own') or diag($browser->text('main'));
    is_at("/team/both\@$images[1]{digest}/files/the-file", '... by its digest');
};

subtest 'labels' => sub {
    my $manifest = $ann->get('/v2/public/tool/manifests/v1')->json;
    my $config   = json_of({ os => 'linux', architecture => 'amd64', config => { Labels => { 'example.com/team' => '<b>blue</b>' } }, rootfs => { type => 'layers', diff_ids => [ 'sha256:' . 'a' x 64 ] } });
    is_status($ann->push_blob('public/tool', $config), 201, 'a config');
    @{ $manifest->{config} }{qw(digest size)} = (digest($config), length $config);
    is_status($ann->put_manifest('public/tool', 'labelled', json_of($manifest)), 201, 'an image with a label');
    for my $q ('example.com/team=<b>blue</b>', 'label:example.com/team') {
        found($q);
        ok($browser->sees('.results li', 'public/tool:labelled'), $q) or diag($browser->text('main'));
        is_deeply([ map { s/\s+/ /gr } grep { /labelled/ } $browser->texts('.results li') ], ['public/tool:labelled linux/amd64 <b>blue</b>'], '... with its value, as text');
    }
    $browser->click('.results a', 'public/tool:labelled');
    ok($browser->sees('h1', 'public/tool:labelled'), 'leads to the image');
    is_status($ann->delete('/v2/public/tool/manifests/labelled'), 202, 'it goes');
};

subtest 'what a card of results says meanwhile, and in the end' => sub {
    found('label:no.such/label');
    ok($browser->sees('.results .state', 'No image has this label'), 'nothing was found');
    # The next answers to searches for labels: one that waits, none, a part of one, and a whole one.
    $browser->js(<<'END_SCRIPT');
        const real = window.fetch;
        const hit = '{"repository":"team/x","tag":"1","digest":"sha256:00","platform":"","label":"of it"}\n';
        const end = (more, images, skipped) => JSON.stringify({more, last: more ? 'behind' : null, images, skipped}) + '\n';
        window.asked = [];
        window.answers = [new Promise((resolve) => { window.answer = () => resolve(new Response(end(true, 3, 2))); }), null, new Response(hit), new Response(hit + end(false, 4, 0))];
        window.fetch = (url, options) => {
          if (!String(url).includes('_find?label='))
            return real(url, options);
          window.asked.push(Number(String(url).includes('last=behind')));
          return window.answers.shift() ?? Promise.reject(new TypeError('no network'));
        };
END_SCRIPT
    $browser->type('.top-search input', 'a.label=x{Enter}');
    ok($browser->sees('.results .state', 'Searching'), 'it waits');
    $browser->js('window.answer()');
    ok($browser->sees('.results .state', 'Nothing so far'), 'a page without any');
    ok($browser->sees_not('.results .state', 'Searching'), '... no longer waits');
    ok($browser->sees('.results p', '2 images can’t be searched by label'), '... and says what could not be looked at');
    $browser->click('.results button', 'Look further');
    ok($browser->sees('.results .state.error', 'This did not work'), 'an error');
    $browser->click('.results button', 'Try again');
    ok($browser->sees('.results .state.error', 'cut off'), 'an answer without its end') or diag($browser->text('main'));
    is_deeply([ grep { /of it/ } $browser->texts('.results li') ], ['team/x:1 of it'], '... with what it had');
    $browser->click('.results button', 'Try again');
    ok($browser->sees('.results [role=status]', '1 in 7 images'), 'the next is whole');
    is_deeply([ grep { /of it/ } $browser->texts('.results li') ], ['team/x:1 of it'], '... and what comes again is there once');
    is($browser->find('.results .state.error'), undef, '... without the error');
    is_deeply($browser->js('return window.asked'), [ 0, 1, 1, 1 ], 'each went on where the one before ended');
};

subtest 'more than a page, odd names, and what cannot be looked into' => sub {
    my $evil = '<img src=x onerror=window.pwned=1>.txt';
    push_layers($ann, 'team/many', 'v1', gzip_layer(tar_of('d many/', (map { sprintf 'f many/%03d.txt x', $_ } 1 .. 450), { name => "many/$evil", data => 'x' }, { name => "many/\xff.txt", data => 'no UTF-8', format => 'gnu' })));
    push_layers($ann, 'team/bad', 'v1', raw_layer('this is no tar'));
    is_indexed('team/many', 'v1');
    $ann->get('/v2/team/bad/_image/v1/tree');
    is(scalar @{ found('many/*.txt') }, 200, 'a page');
    like(summary(), qr/^200 in \d images? so far$/, '... and there is more');
    ok(wait_for(15, sub { $browser->click('.results button', 'Look further') if $browser->find('.results button', 'Look further'); summary() =~ /^452 in \d+ images$/ }), '... until all are there') or diag(summary());
    ok(!$browser->find('.results button', 'Look further'), '... and then no more');
    is(scalar(() = $browser->texts('.results li')), 452, 'each once');
    sees_link('/many/<img src=x onerror=', 'a name is a text');
    ok(!defined $browser->js('return window.pwned ?? null'), '... and nothing else');
    ok($browser->sees('.results p', '1 image can’t be looked into'), 'an image that cannot be looked into is counted');
    $browser->click('.results a[href$="many/%FF.txt"]');
    ok($browser->sees('.pane .code', 'no UTF-8'), 'a name that is no UTF-8 leads to its file') or diag($browser->text('main'));
};

subtest 'packages' => sub {
    $browser->go("$page/team/app:2.0");
    $browser->click('.tabs a', 'Packages');
    is_at('/team/app:2.0/packages', 'their address');
    ok($browser->sees('.row.package', 'zlib1g'), 'the packages');
    is($browser->text('.summary'), '3 packages', '... are counted');
    is_deeply([ map { s/\s+/ /gr } $browser->texts('.row.package') ], [ 'bash 5.2 amd64 src-bash deb', 'curl 8 amd64 src-curl deb', 'zlib1g 1:1.2 amd64 src-zlib1g deb' ], '... with version, architecture and source');
    $browser->type('main input[type=search]', 'CUR');
    ok(wait_for(5, sub { $browser->text('.summary') eq '1 package' }), 'filtered');
    $browser->go("$page/public/tool:v1/packages");
    ok($browser->sees('.state', 'No packages'), 'an image without');
    push_layers($ann, 'team/odd', 'v1', gzip_layer(tar_of(status(encode_utf8("Package: <b>x</b>\x{202e}\nVersion: " . 'v' x 5000)))));
    push_layers($ann, 'team/odd', 'v2', gzip_layer(tar_of(status(dpkg(map { sprintf('p%05d', $_) => 1 } 1 .. 10_001)))));
    is_indexed('team/odd', $_) for 'v1', 'v2';
    $browser->go("$page/team/odd:v1/packages");
    ok($browser->sees('.row.package', '<b>x</b>'), 'a name is a text');
    ok(!$browser->find('main b'), '... and no element');
    $browser->go("$page/team/odd:v2/packages");
    ok($browser->sees('.badge', 'there are more packages'), 'more than are listed');
    cmp_ok(scalar($browser->texts('.row.package')), '<', 150, '... of which few are in the document');
};

subtest 'changes of packages' => sub {
    $browser->go("$page/team/app:2.0/diff/1.0");
    $browser->click('.chips a', 'Packages');
    ok($browser->sees('.row.package-change', 'curl'), 'the changes');
    is_deeply([ map { s/\s+/ /gr } $browser->texts('.row.package-change') ], [ 'changed bash 5.1 5.2 amd64', 'added curl – 8 amd64', 'removed libc6 2.36 – amd64' ], '... of three');
    $browser->click('.button', 'The other way round');
    $browser->click('.chips a', 'Packages');
    ok($browser->sees('.row.package-change.op-remove', 'curl'), 'the other way round');
    $browser->go("$page/team/app:2.0/diff/2.0?view=packages");
    ok($browser->sees('.state', 'The packages are the same'), 'none from itself');
};

subtest 'changes of very many files' => sub {
    # The thousandth name, behind which the second page begins, is no UTF-8.
    push_layers($ann, 'team/diff', 'v1', gzip_layer(tar_of('f base x')));
    push_layers($ann, 'team/diff', 'v2', gzip_layer(tar_of('f base x', (map { sprintf 'f a%04d x', $_ } 1 .. 999), { name => "b\xff", data => 'x', format => 'gnu' }, map { sprintf 'f c%04d x', $_ } 1 .. 999)));
    is_indexed('team/diff', $_) for 'v1', 'v2';
    $browser->go("$page/team/diff:v2/diff/v1");
    ok($browser->sees('label', '1,999 added'), 'all of them, once') or diag($browser->text('main'));
    ok($browser->sees_not('[role=status]', 'comparing'), '... and then it ends');
};

subtest 'what is not there is not shown' => sub {
    $browser->go("$page/_nothing");
    ok($browser->sees('.state', 'Not found'), 'a screen that does not exist');
    is_deeply([ $browser->texts('.main-nav a') ], [qw(Repositories Events Storage Hooks)], '... and no link to it');
    $browser->go("$page/_hooks");
    ok($browser->sees('.state', 'No hooks'), 'no hooks');
};

is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
