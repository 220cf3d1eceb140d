# The web page in a real browser: repositories, tags, images and files, deep links, back, forward and reload; by mouse and by
# keyboard; what images say is shown as text.
use v5.36;
use utf8;
use Registry limit => 120;
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::Tools;
use Test::More;

BEGIN { need('chromium', 'chromedriver') }
binmode Test::More->builder->$_, ':utf8' for qw(output failure_output);

my $registry = Registry->start;
my $browser  = Registry::Browser->start;
my $top      = 'http://127.0.0.1:' . $registry->port;
my $page     = "$top/ui";

my @base = ('d etc/', 'f etc/motd old', "f etc/passwd root:x:0:0\nann:x:1:1", 'd usr/', 'd usr/lib/', "f usr/lib/x.so a\0b", 'f usr/lib/empty ');
push_layers($registry, 'team/app', $_, gzip_layer(tar_of(@base, "f version $_")), gzip_layer(tar_of('f etc/motd new', 'l lib usr/lib')))
    for '1.0', '1.9', '1.10';
push_layers($registry, $_, 'v1', gzip_layer(tar_of('f a b'))) for 'team/web', 'hello', 'infra/ci/runner';

# The names of the rows that are there.
sub names () { return join ' ', map { s/\s+/ /gr } grep { length } $browser->texts('.rows li .name') }

sub is_at ($path, $name) { return is($browser->url =~ s/^\Q$page\E//r, $path, $name) }

subtest 'repositories' => sub {
    $browser->go("$top/");
    is_at('/', '/ leads here');
    ok($browser->sees('.row.repo', 'hello'), 'a repository');
    is(names(), 'hello infra/ ci/runner team/ app web', 'all of them, by namespace');
    $browser->click('.row.space button[aria-label="Namespace team/"]');
    ok(wait_for(5, sub { names() eq 'hello infra/ ci/runner team/' }), 'a namespace is closed');
    $browser->click('.row.space button[aria-label="Namespace team/"]');
    ok($browser->sees('.row.repo', 'app'), '... and opened');
    $browser->type('main input[type=search]', 'WE');
    ok(wait_for(5, sub { names() eq 'team/ web' }), 'filtered while typing') or diag(names());
    is_at('/?q=WE', '... which the address tells');
    $browser->reload;
    ok($browser->sees('.row.repo', 'web'), '... so that it outlives a reload');
    ok($browser->sees_not('.row.repo', 'hello'), '... and shows the same');
    $browser->type('main input[type=search]', 'nothing');
    ok($browser->sees('.state', 'Nothing is called like that'), 'a filter that nothing fits');
    $browser->go("$page/team/");
    ok(wait_for(5, sub { names() eq 'app web' }), 'a namespace of its own') or diag(names());
};

subtest 'tags' => sub {
    $browser->click('.row.repo a', 'app');
    ok($browser->sees('h1', 'team/app'), 'from a repository to its tags');
    is_at('/team/app', '... with its address');
    is($browser->js('return document.activeElement.tagName'), 'H1', '... and the focus on its heading');
    ok($browser->sees('.row.tag', '1.10'), 'a tag');
    is(names(), '1.0 1.9 1.10', '1.9 comes before 1.10');
    is(join(' ', $browser->texts('.row.tag .platforms')), 'linux/amd64 linux/amd64 linux/amd64', 'their platforms');
    $browser->type('main input[type=search]', '1.1');
    ok(wait_for(5, sub { names() eq '1.10' }), 'filtered');
    $browser->go("$page/team/nothing");
    ok($browser->sees('.state', 'Not found'), 'no such repository');
};

subtest 'an image' => sub {
    $browser->go("$page/team/app");
    $browser->sees('.row.tag', '1.10');
    my ($size) = $browser->text('.row.tag', '1.10') =~ /^(\d+ B)$/m or diag($browser->text('.row.tag', '1.10'));
    $browser->click('.row.tag a', '1.10');
    ok($browser->sees('h1', 'team/app:1.10'), 'from a tag to its image');
    ok($browser->sees('.line dd', $size), "... which has the size of the list: $size");
    is_at('/team/app:1.10', '... whose address is its reference');
    ok($browser->sees('code', "docker pull 127.0.0.1:" . $registry->port . '/team/app:1.10'), 'how to pull it');
    my $digest = $registry->head('/v2/team/app/manifests/1.10')->header('Docker-Content-Digest');
    ok($browser->sees('code', "/team/app\@$digest"), '... by its digest');
    ok($browser->sees('.step .waste', '3 B'), 'bytes that a later layer hides');
    $browser->click('.step .waste a', '3 B');
    ok($browser->sees('.row.file', '/etc/motd'), '... of which files');
    is($browser->text('.screen .summary'), '1 file, 3 B', '... counted');
    $browser->click('.row.file a', 'replaced');
    ok($browser->sees('.pane .code', 'new'), '... with what replaces them');
    $browser->back;
    ok($browser->sees('.row.file', '/etc/motd'), 'back');
    $browser->back;
    ok($browser->sees('.step .waste', '3 B'), '... and to the layers');
    is(scalar($browser->texts('.step')), 2, 'its layers');
    $browser->back;
    ok($browser->sees('.row.tag', '1.9'), 'back');
    $browser->forward;
    ok($browser->sees('h1', 'team/app:1.10'), 'forward');
    $browser->click('.tabs a', 'Configuration');
    ok($browser->sees('summary', 'Manifest'), 'its configuration');
    $browser->go("$page/team/app\@$digest");
    ok($browser->sees('h1', 'team/app@' . substr $digest, 7, 12), 'by digest');
    ok($browser->sees('.step .layer-files a'), '... its layers');
    $browser->click('.step .layer-files a');
    ok($browser->sees('.row.file', 'etc'), 'the files of one layer');
    ok($browser->sees_not('.row.file', 'lib →'), '... and no others');
};

subtest 'files' => sub {
    $browser->go("$page/team/app:1.9");
    $browser->click('.tabs a', 'Files');
    ok($browser->sees('.row.file', 'version'), 'the root');
    is(names(), 'etc lib → usr/lib usr version', 'its entries') or diag(names());
    $browser->click('.row.file a', 'etc');
    ok($browser->sees('.row.file', 'passwd'), 'a directory opens');
    is_at('/team/app:1.9/files/etc/', '... with its address');
    $browser->click('.row.file a', 'motd');
    ok($browser->sees('.code', 'new'), 'a text');
    is_at('/team/app:1.9/files/etc/motd', '... and its address');
    $browser->reload;
    ok($browser->sees('.code', 'new'), 'after a reload');
    ok($browser->sees('.row.file a[aria-current]', 'motd'), '... with the tree opened there');
    $browser->click('.pane button', 'Download');
    is($browser->downloaded('motd'), 'new', 'downloaded');
    $browser->click('.row.file a[title="/lib"]');
    $browser->click('.pane .preview a', 'usr/lib');
    ok($browser->sees('.row.file', 'x.so'), 'a symbolic link leads to its target');
    is_at('/team/app:1.9/files/usr/lib', '... by an address');
    $browser->click('.row.file a[title="/usr/"]');
    $browser->click('.pane button', 'Download as tar');
    like($browser->downloaded('usr.tar') // '', qr/^\.\/\0.*lib\/x\.so\0/s, 'a directory as a tar') or diag(join ' ', glob "$browser->{dir}/downloads/*");
    $browser->go("$page/team/app:1.9/files/usr/lib/x.so");
    ok($browser->sees('.code', '61 00 62'), 'what is no text is shown as numbers');
    $browser->go("$page/team/app:1.9/files/usr/lib/empty");
    ok($browser->sees('.pane', 'The file is empty'), 'an empty file');
    $browser->type('input[name=find]', '*.so{Enter}');
    ok($browser->sees('.row.file', '/usr/lib/x.so'), 'found by a pattern');
    is_at('/team/app:1.9/files/?find=*.so', '... which the address has');
    $browser->go("$page/team/app:1.9/files/etc/nothing");
    ok($browser->sees('.state', 'Not found'), 'a file that is not there');
};

subtest 'by keyboard' => sub {
    $browser->go("$page/");
    $browser->sees('.row.repo', 'hello');
    $browser->press('/', 'w', 'e', 'b');
    ok(wait_for(5, sub { names() eq 'team/ web' }), '/ goes to the field');
    $browser->press('Tab') for 1 .. 3;
    is($browser->js('return document.activeElement.innerText'), 'web', 'Tab goes on to the list');
    $browser->press('Enter');
    ok($browser->sees('h1', 'team/web'), 'Enter follows the link');
    $browser->go("$page/team/app:1.0/files/");
    $browser->sees('.row.file', 'version');
    $browser->js('document.querySelector(".row.file a").focus()');
    $browser->press('Right');
    ok($browser->sees('.row.file', 'passwd'), 'an arrow opens a directory');
    $browser->press('Down', 'Down');
    is($browser->js('return document.activeElement.innerText.trim()'), 'passwd', 'arrows go down');
    $browser->press('Enter');
    ok($browser->sees('.code', 'ann:x:1:1'), 'Enter shows the file');
    $browser->press('Left');
    is($browser->js('return document.activeElement.innerText.trim()'), 'etc', 'an arrow goes up to the directory');
    $browser->press('Left');
    ok($browser->sees_not('.row.file', 'passwd'), '... and closes it');
};

subtest 'light and dark' => sub {
    my $ground = sub { return $browser->js('return getComputedStyle(document.body).backgroundColor') };
    my $light  = $ground->();
    $browser->dark(1);
    isnt(my $dark = $ground->(), $light, 'as the system has it');
    $browser->click('button[aria-label="Dark theme"]');
    is($ground->(), $light, 'the other one by a button');
    $browser->reload;
    ok($browser->sees('.row.file'), 'reloaded');
    is($ground->(), $light, '... and kept');
    $browser->click('button[aria-label="Dark theme"]');
    is($ground->(), $dark, 'as the system has it again');
    $browser->dark(0);
    is($ground->(), $light, '... which it follows');
};

is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
